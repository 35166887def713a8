-- All that the mirror needs to know of some trials, and how far it has come with each. `trained` is the trial itself, or
-- the one whose result it was given.
SELECT
    trials.id AS trial_id,
    trials.study_id,
    trials.seed,
    trials.digest,
    studies.project,
    studies.name,
    cells.index AS cell_index,
    CAST(cells.config AS text) AS config,
    jobs.state,
    jobs.attempt,
    jobs.error,
    trials.reused_from,
    trained.attempt AS trained_attempt,
    trained.leased_at,
    trained.finished_at,
    summaries.summary,
    mirrored_studies.experiment_id,
    mirrored_trials.run_id,
    mirrored_trials.attempt AS mirrored_attempt,
    mirrored_trials.step AS mirrored_step,
    mirrored_trials.closed
FROM trials
JOIN jobs ON jobs.trial_id = trials.id
JOIN jobs AS trained ON trained.trial_id = coalesce(trials.reused_from, trials.id)
JOIN studies ON studies.id = trials.study_id
JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
LEFT JOIN summaries ON summaries.trial_id = trained.trial_id
LEFT JOIN mirrored_studies ON mirrored_studies.study_id = trials.study_id
LEFT JOIN mirrored_trials ON mirrored_trials.trial_id = trials.id
WHERE trials.id = ANY(CAST(:trial_ids AS bigint[]))
