-- How far the mirror has come with a trial. A later attempt starts over; within one, the step never falls.
-- Guard: the attempt; a mirror that was at work on an earlier one changes nothing.
INSERT INTO mirrored_trials (trial_id, run_id, attempt, step, closed)
VALUES (:trial_id, :run_id, :attempt, :step, :closed)
ON CONFLICT (trial_id) DO UPDATE
SET run_id = excluded.run_id,
    attempt = excluded.attempt,
    step = CASE
        WHEN excluded.attempt > mirrored_trials.attempt THEN excluded.step
        ELSE greatest(mirrored_trials.step, excluded.step)
    END,
    closed = excluded.closed
WHERE excluded.attempt >= mirrored_trials.attempt
