-- Take news for a while: whoever claimed it is expected to mirror it until `:until`; after that it is due again.
-- Guard: due, under the row's lock; SKIP LOCKED, so that two mirrors share the work. Nothing is read past a high-water
-- mark, because the order of ids is not the order of commits.
WITH due AS (
    SELECT kind, subject_id
    FROM outbox
    WHERE available_at <= :now
    ORDER BY available_at, kind, subject_id
    LIMIT :most
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox
SET available_at = :until
FROM due
WHERE outbox.kind = due.kind AND outbox.subject_id = due.subject_id
RETURNING outbox.kind, outbox.subject_id, outbox.version
