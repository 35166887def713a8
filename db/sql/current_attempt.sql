-- The frames of a trial's attempt that counts: the one that succeeded, or else the last one.
SELECT layouts.series, frames.trial_id, frames.attempt, frames.step, frames.time, frames.values
FROM jobs
JOIN frames ON frames.trial_id = jobs.trial_id AND frames.attempt = jobs.attempt
JOIN layouts ON layouts.id = frames.layout_id
WHERE jobs.trial_id = :trial_id
ORDER BY frames.step
