-- Leases that ran out: their holder has said nothing for a lease's length. Locked, for end_attempt.sql to end.
-- Guard: state = 'leased' and the expiry itself under the row's lock, so that a heartbeat that came first keeps its
-- job; SKIP LOCKED leaves alone whatever somebody is writing at this moment, and so needs no order against rings.
SELECT trial_id, attempt, holder
FROM jobs
WHERE state = 'leased' AND lease_expires_at < :now
ORDER BY lease_expires_at
LIMIT :most
FOR UPDATE SKIP LOCKED
