-- Every trial of a study in the design's order, with what its job and its mirror say; its metrics are in its report row.
SELECT
    trials.id,
    trials.study_id,
    trials.cell_index,
    trials.seed,
    trials.digest,
    jobs.state,
    jobs.attempt,
    trials.reused_from,
    summaries.outcome,
    jobs.error,
    CAST(summaries.summary ->> 'seconds' AS double precision) AS seconds,
    mirrored_trials.run_id
FROM trials
JOIN jobs ON jobs.trial_id = trials.id
LEFT JOIN summaries ON summaries.trial_id = coalesce(trials.reused_from, trials.id)
LEFT JOIN mirrored_trials ON mirrored_trials.trial_id = trials.id
WHERE trials.study_id = :study_id
  AND (CAST(:state AS text) IS NULL OR jobs.state = :state)
  AND (CAST(:outcome AS text) IS NULL OR summaries.outcome = :outcome)
ORDER BY trials.place
