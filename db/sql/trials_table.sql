-- Every trial of a study with what its summary says of it; the metrics as text, for a reader that takes them in bulk.
SELECT
    trials.id AS trial_id,
    trials.cell_index,
    trials.seed,
    jobs.state,
    summaries.outcome,
    CAST(summaries.summary ->> 'steps' AS integer) AS steps,
    CAST(summaries.summary -> 'metrics' AS text) AS metrics
FROM trials
JOIN jobs ON jobs.trial_id = trials.id
LEFT JOIN summaries ON summaries.trial_id = trials.id
WHERE trials.study_id = :study_id
ORDER BY trials.place
