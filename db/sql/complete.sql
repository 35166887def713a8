-- leased -> succeeded, with the summary, in one statement.
-- Guard: (trial_id, attempt, state = 'leased'): an attempt that was given to somebody else changes nothing. The primary
-- key of `summaries` is the second guard: a trial has one summary for ever.
-- The summaries come as one text, a line each: as an array every quotation mark in them would be escaped, and read back.
WITH given AS (
    SELECT *
    FROM unnest(
        CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:outcomes AS text[]),
        string_to_array(CAST(:summaries AS text), chr(10))
    ) AS given (trial_id, attempt, outcome, summary)
),
held AS (
    SELECT jobs.trial_id
    FROM jobs
    JOIN given ON given.trial_id = jobs.trial_id AND given.attempt = jobs.attempt
    WHERE jobs.state = 'leased'
    ORDER BY jobs.trial_id
    FOR UPDATE OF jobs
),
done AS (
    UPDATE jobs
    SET state = 'succeeded',
        finished_at = :now,
        lease_expires_at = NULL,
        checkpoint = '',
        failure_class = NULL,
        error = NULL
    FROM held
    JOIN given ON given.trial_id = held.trial_id
    WHERE jobs.trial_id = held.trial_id AND jobs.attempt = given.attempt AND jobs.state = 'leased'
    RETURNING jobs.trial_id, jobs.study_id, jobs.attempt, jobs.holder, given.outcome, given.summary
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who)
    SELECT trial_id, :now, 'succeeded', attempt, 'complete', holder FROM done ORDER BY trial_id
)
INSERT INTO summaries (trial_id, study_id, attempt, outcome, summary)
SELECT trial_id, study_id, attempt, outcome, CAST(summary AS jsonb)
FROM done
RETURNING trial_id, study_id, attempt
