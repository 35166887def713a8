-- The frames of a trial's attempt that counts: the one that succeeded, or else the last one. A reused trial shows those of
-- the trial it is linked with.
SELECT layouts.series, trials.id AS trial_id, frames.attempt, frames.step, frames.time, frames.values
FROM trials
JOIN jobs AS trained ON trained.trial_id = coalesce(trials.reused_from, trials.id)
JOIN frames ON frames.trial_id = trained.trial_id AND frames.attempt = trained.attempt
JOIN layouts ON layouts.id = frames.layout_id
WHERE trials.id = :trial_id
ORDER BY frames.step
