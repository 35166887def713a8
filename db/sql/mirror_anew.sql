-- Rows are locked in order of id. What the mirror is to look at again: it forgets how far it was with a study's trials. A run that is there is compared with
-- what it should show; with `:whole` it counts as one of an earlier attempt, which goes.
WITH told AS (
    SELECT trials.id
    FROM trials
    JOIN jobs ON jobs.trial_id = trials.id
    WHERE trials.study_id = :study_id AND (jobs.attempt > 0 OR trials.reused_from IS NOT NULL)
),
held AS (
    SELECT mirrored_trials.trial_id
    FROM mirrored_trials
    JOIN told ON told.id = mirrored_trials.trial_id
    ORDER BY mirrored_trials.trial_id
    FOR UPDATE OF mirrored_trials
),
forgotten AS (
    UPDATE mirrored_trials
    SET step = -1, closed = NULL, attempt = CASE WHEN :whole THEN -1 ELSE mirrored_trials.attempt END
    FROM held
    WHERE mirrored_trials.trial_id = held.trial_id
)
SELECT id FROM told ORDER BY id
