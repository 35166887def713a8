-- News that was mirrored leaves the outbox.
-- Guard: the version that was mirrored. Where more news came meanwhile, the row stays and is due at once.
WITH mirrored AS (
    DELETE FROM outbox
    WHERE kind = :kind AND subject_id = :subject_id AND version = :version AND :complete
    RETURNING 1
)
UPDATE outbox
SET available_at = :now
WHERE kind = :kind AND subject_id = :subject_id AND NOT EXISTS (SELECT FROM mirrored)
