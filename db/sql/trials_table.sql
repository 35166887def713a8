-- Every trial of a study and how its job stands, in the design's order.
SELECT trials.id AS trial_id, trials.cell_index, trials.seed, jobs.state
FROM trials
JOIN jobs ON jobs.trial_id = trials.id
WHERE trials.study_id = :study_id
ORDER BY trials.place
