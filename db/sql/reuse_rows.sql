-- What reports read of trials that were reused: the packed row of the trial each is linked with, under its own name.
INSERT INTO report_rows
    (trial_id, study_id, layout_id, cell_index, seed, steps, outcome, versions, metrics, curve_steps, curve_losses)
SELECT
    trials.id,
    trials.study_id,
    trained.layout_id,
    trials.cell_index,
    trials.seed,
    trained.steps,
    trained.outcome,
    trained.versions,
    trained.metrics,
    trained.curve_steps,
    trained.curve_losses
FROM trials
JOIN report_rows AS trained ON trained.trial_id = trials.reused_from
WHERE trials.study_id = :study_id AND trials.place >= :first_place AND trials.reused_from IS NOT NULL
ORDER BY trials.id
