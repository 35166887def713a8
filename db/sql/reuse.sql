-- New trials of a study, those from `:first_place` on, are linked with a trial of the same digest that succeeded: the
-- newest, because its measurements have the newest definitions. Only trials that were trained have a summary, so that
-- a link never leads to another link.
-- Guard: called in the transaction that writes the trials, before their jobs (study_jobs.sql reads the link).
WITH linked AS (
    UPDATE trials
    SET reused_from = earlier.id
    FROM (
        SELECT DISTINCT ON (new.id) new.id AS trial_id, earlier.id
        FROM trials AS new
        JOIN trials AS earlier ON earlier.digest = new.digest
        JOIN summaries ON summaries.trial_id = earlier.id
        WHERE new.study_id = :study_id AND new.place >= :first_place
        ORDER BY new.id, earlier.id DESC
    ) AS earlier
    WHERE trials.id = earlier.trial_id
    RETURNING trials.id, trials.reused_from
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who, reason)
    SELECT id, :now, 'succeeded', 0, 'reuse', CAST(:who AS text), 'trial ' || reused_from FROM linked ORDER BY id
)
SELECT id FROM linked
