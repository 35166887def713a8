-- An attempt can be gone on from: its jobs remember the checkpoint's name.
-- Guard: (trial_id, attempt), and the state leased, or queued again: paused, released or taken for lost since, but not
-- leased anew, so that nobody else has a result of it, or a later checkpoint. Rows are locked in order of id.
-- Who came further than any checkpoint before is not what kills its surroundings: those faults are forgotten.
-- `furthest_step` never falls, or a trial that always dies at one step would be tried for ever.
WITH held AS (
    SELECT jobs.trial_id, jobs.attempt
    FROM jobs
    JOIN unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[])) AS given (trial_id, attempt)
      ON given.trial_id = jobs.trial_id AND given.attempt = jobs.attempt
    WHERE jobs.state IN ('leased', 'queued')
    ORDER BY jobs.trial_id
    FOR UPDATE OF jobs
)
UPDATE jobs
SET checkpoint = CAST(:name AS text),
    infrastructure_failures = CASE WHEN :step > jobs.furthest_step THEN 0 ELSE jobs.infrastructure_failures END,
    furthest_step = greatest(jobs.furthest_step, :step)
FROM held
WHERE jobs.trial_id = held.trial_id AND jobs.attempt = held.attempt AND jobs.state IN ('leased', 'queued')
RETURNING jobs.trial_id
