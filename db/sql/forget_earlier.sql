-- A trial that succeeded keeps the frames of the attempt that did.
-- Guard: called under the lock of the completed job, in the transaction that completes it.
DELETE FROM frames
USING unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[])) AS given (trial_id, attempt)
WHERE frames.trial_id = given.trial_id AND frames.attempt < given.attempt
