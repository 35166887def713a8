-- leased -> queued, for every leased job of a study that is paused; who ended the attempt is blamed for nothing.
-- Guard: the state under the row's lock. Queued jobs are locked too, though nothing of them changes: a lease that is
-- being written at this moment is so waited for, and then given back. A lease that comes later finds `paused_at`
-- (lease_take.sql looks for it with a snapshot of its own). `held.state` is the state under the lock; `jobs.state` that
-- of the snapshot, in which a job may still be queued. The attempt's number stays; the next lease raises it.
WITH held AS (
    SELECT trial_id, state
    FROM jobs
    WHERE study_id = :study_id AND state IN ('queued', 'leased')
    ORDER BY trial_id
    FOR UPDATE
),
changed AS (
    UPDATE jobs
    SET state = 'queued',
        available_at = :now,
        lease_expires_at = NULL,
        holder = NULL
    FROM held
    WHERE jobs.trial_id = held.trial_id AND held.state = 'leased' AND jobs.state IN ('queued', 'leased')
    RETURNING jobs.trial_id, jobs.attempt
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who)
    SELECT trial_id, :now, 'queued', attempt, 'pause', CAST(:who AS text) FROM changed ORDER BY trial_id
)
SELECT trial_id, attempt FROM changed
