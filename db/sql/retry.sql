-- failed or cancelled -> queued, for every such job of a study: what is missing is tried again, without old blame.
-- Guard: the state under the row's lock. Attempts go on from where they were: the fence never falls.
WITH held AS (
    SELECT trial_id
    FROM jobs
    WHERE study_id = :study_id AND state IN ('failed', 'cancelled')
    ORDER BY trial_id
    FOR UPDATE
),
changed AS (
    UPDATE jobs
    SET state = 'queued',
        width_limit = DEFAULT,
        furthest_step = DEFAULT,
        trial_failures = 0,
        infrastructure_failures = 0,
        crashes = 0,
        memory_failures = 0,
        available_at = :now,
        holder = NULL,
        finished_at = NULL,
        failure_class = NULL,
        error = NULL
    FROM held
    WHERE jobs.trial_id = held.trial_id AND jobs.state IN ('failed', 'cancelled')
    RETURNING jobs.trial_id, jobs.attempt
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who)
    SELECT trial_id, :now, 'queued', attempt, 'retry', CAST(:who AS text) FROM changed ORDER BY trial_id
)
SELECT trial_id, attempt FROM changed
