-- Which of these attempts hold their lease, so that their frames are taken; and the id of the frames' layout, if it is there.
-- Guard: (trial_id, attempt, state = 'leased') under the row's lock, kept until the commit: nobody ends the attempt before.
-- Rows are locked in the order given, which is that of their ids, and before the outbox and the studies; those whose end the
-- same transaction writes are given too, so that no two transactions wait in a ring.
-- Cost: a probe of the primary key each; a planner that knows little of a table that changes would read all that is leased.
SELECT held.trial_id, held.attempt, (SELECT id FROM layouts WHERE digest = CAST(:digest AS text)) AS layout_id
FROM unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[])) AS given (trial_id, attempt)
CROSS JOIN LATERAL (
    SELECT jobs.trial_id, jobs.attempt
    FROM jobs
    WHERE jobs.trial_id = given.trial_id AND jobs.attempt = given.attempt AND jobs.state = 'leased'
    FOR UPDATE
) AS held
