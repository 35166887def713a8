-- leased -> queued or failed: an attempt ends without a result.
-- Guard: (trial_id, attempt, state = 'leased'). The attempt's number stays; the next lease raises it.
-- Blame is counted by class, each with its own limit; a job at its limit fails, any other waits in the queue: at once,
-- or after a backoff that doubles with each fault of the infrastructure. `width` caps the next packs of this job; after
-- `:company` faults of the infrastructure it goes alone, in case it is what kills its company. The last try that a job has
-- left is from its beginning, in case its checkpoint is what is wrong.
-- A crash (the actor's process died, and its node did not) is a fault of the infrastructure with a counter and a limit of its
-- own: before the last life that it leaves, the job goes alone. A crash after `:steady` seconds of life counts as the first.
WITH held AS (
    SELECT
        jobs.trial_id,
        jobs.attempt,
        jobs.holder,
        jobs.trial_failures,
        jobs.infrastructure_failures,
        CASE
            WHEN :crash_blame = 0 THEN jobs.crashes
            WHEN jobs.leased_at < CAST(:now AS timestamptz) - make_interval(secs => :steady) THEN 1
            ELSE jobs.crashes + 1
        END AS crashes
    FROM jobs
    JOIN unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[])) AS given (trial_id, attempt)
      ON given.trial_id = jobs.trial_id AND given.attempt = jobs.attempt
    WHERE jobs.state = 'leased'
    ORDER BY jobs.trial_id
    FOR UPDATE OF jobs
),
verdict AS (
    SELECT
        trial_id,
        attempt,
        holder,
        crashes,
        trial_failures + :trial_blame AS trial_failures,
        infrastructure_failures + :infrastructure_blame AS infrastructure_failures,
        (:trial_blame > 0 AND trial_failures + :trial_blame >= :trial_limit)
        OR (:crash_blame > 0 AND crashes >= :crash_limit)
        OR (:infrastructure_blame > 0
            AND infrastructure_failures + :infrastructure_blame >= :infrastructure_limit) AS final,
        (:trial_blame > 0 AND trial_failures + :trial_blame >= :trial_limit - 1)
        OR (:infrastructure_blame > 0
            AND infrastructure_failures + :infrastructure_blame >= :infrastructure_limit - 1) AS anew
    FROM held
),
changed AS (
    UPDATE jobs
    SET state = CASE WHEN verdict.final THEN 'failed' ELSE 'queued' END,
        trial_failures = verdict.trial_failures,
        infrastructure_failures = verdict.infrastructure_failures,
        crashes = verdict.crashes,
        memory_failures = jobs.memory_failures + :memory_blame,
        width_limit = CASE
            WHEN verdict.infrastructure_failures >= :company THEN 1
            WHEN :crash_blame > 0 AND verdict.crashes >= :crash_limit - 1 THEN 1
            ELSE least(jobs.width_limit, CAST(:width AS smallint))
        END,
        available_at = CASE
            WHEN :infrastructure_blame > 0 THEN CAST(:now AS timestamptz) + least(
                make_interval(secs => :backoff_most),
                make_interval(secs => :backoff_first) * power(2, verdict.infrastructure_failures - 1)
            )
            ELSE :now
        END,
        finished_at = CASE WHEN verdict.final THEN CAST(:now AS timestamptz) END,
        lease_expires_at = NULL,
        checkpoint = CASE WHEN verdict.final OR verdict.anew THEN '' ELSE jobs.checkpoint END,
        holder = CASE WHEN verdict.final THEN jobs.holder END,
        failure_class = coalesce(CAST(:failure_class AS text), jobs.failure_class),
        error = coalesce(CAST(:error AS text), jobs.error)
    FROM verdict
    WHERE jobs.trial_id = verdict.trial_id AND jobs.attempt = verdict.attempt AND jobs.state = 'leased'
    RETURNING jobs.trial_id, jobs.study_id, jobs.state, jobs.attempt, verdict.holder AS held_by
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who, reason)
    SELECT trial_id, :now, state, attempt, CAST(:cause AS text), held_by, CAST(:reason AS text)
    FROM changed
    ORDER BY trial_id
)
SELECT trial_id, study_id, state FROM changed
