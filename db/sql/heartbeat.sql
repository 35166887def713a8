-- A lease lives on. An expired one too, as long as nobody has rescued it.
-- Guard: (trial_id, attempt, state = 'leased'). Rows are locked in order of id, so that no two batches wait in a ring.
WITH held AS (
    SELECT jobs.trial_id, jobs.attempt
    FROM jobs
    JOIN unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[])) AS given (trial_id, attempt)
      ON given.trial_id = jobs.trial_id AND given.attempt = jobs.attempt
    WHERE jobs.state = 'leased'
    ORDER BY jobs.trial_id
    FOR UPDATE OF jobs
)
UPDATE jobs
SET lease_expires_at = greatest(jobs.lease_expires_at, :expires_at)
FROM held
WHERE jobs.trial_id = held.trial_id AND jobs.attempt = held.attempt AND jobs.state = 'leased'
RETURNING jobs.trial_id
