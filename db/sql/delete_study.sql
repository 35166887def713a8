-- A study goes, with everything that hangs on its trials, in one statement: nothing of it is seen half gone.
-- Guard: called under the study's advisory lock and its row's lock, when nothing of it is open, so that no attempt of it
-- holds a lease; and under the exclusive lock of the history (history_lock.sql), when no other study's trial is linked
-- with one of its. The foreign keys are checked at the end of the statement.
WITH own AS MATERIALIZED (
    SELECT id FROM trials WHERE study_id = :study_id
),
gone_news AS (
    DELETE FROM outbox USING own WHERE outbox.kind = 'trial' AND outbox.subject_id = own.id
),
gone_study_news AS (
    DELETE FROM outbox WHERE kind = 'study' AND subject_id = :study_id
),
gone_frames AS (
    DELETE FROM frames USING own WHERE frames.trial_id = own.id
),
gone_events AS (
    DELETE FROM trial_events USING own WHERE trial_events.trial_id = own.id
),
gone_artifacts AS (
    DELETE FROM trial_artifacts USING own WHERE trial_artifacts.trial_id = own.id
),
gone_runs AS (
    DELETE FROM mirrored_trials USING own WHERE mirrored_trials.trial_id = own.id
),
gone_rows AS (
    DELETE FROM report_rows WHERE study_id = :study_id
),
gone_summaries AS (
    DELETE FROM summaries WHERE study_id = :study_id
),
gone_jobs AS (
    DELETE FROM jobs USING own WHERE jobs.trial_id = own.id
),
gone_trials AS (
    DELETE FROM trials WHERE study_id = :study_id
),
gone_cells AS (
    DELETE FROM cells WHERE study_id = :study_id
),
gone_extensions AS (
    DELETE FROM study_extensions WHERE study_id = :study_id
),
gone_experiment AS (
    DELETE FROM mirrored_studies WHERE study_id = :study_id RETURNING study_id, experiment_id
),
gone_findings AS (
    DELETE FROM mirror_findings WHERE study_id = :study_id
),
removal AS (
    INSERT INTO mirror_removals (study_id, experiment_id, available_at)
    SELECT study_id, experiment_id, '-infinity' FROM gone_experiment
)
DELETE FROM studies WHERE id = :study_id
