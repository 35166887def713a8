-- queued or leased -> cancelled, for every open job of a study.
-- Guard: the state under the row's lock. A lease that is being written at this moment is waited for and then cancelled;
-- its holder learns it from the next heartbeat. After this nothing of the study is open: only retry.sql opens jobs
-- again, and the two exclude each other by the study's advisory lock.
WITH held AS (
    SELECT trial_id
    FROM jobs
    WHERE study_id = :study_id AND state IN ('queued', 'leased')
    ORDER BY trial_id
    FOR UPDATE
),
changed AS (
    UPDATE jobs
    SET state = 'cancelled',
        finished_at = :now,
        lease_expires_at = NULL,
        checkpoint = ''
    FROM held
    WHERE jobs.trial_id = held.trial_id AND jobs.state IN ('queued', 'leased')
    RETURNING jobs.trial_id, jobs.attempt
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who)
    SELECT trial_id, :now, 'cancelled', attempt, 'cancel', CAST(:who AS text) FROM changed ORDER BY trial_id
)
SELECT trial_id, attempt FROM changed
