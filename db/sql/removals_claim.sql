-- Experiments of deleted studies, for the mirror to delete until `:until`; after that they are due again.
-- Guard: due, under the row's lock; SKIP LOCKED, as with news (outbox_claim.sql).
WITH due AS (
    SELECT study_id
    FROM mirror_removals
    WHERE available_at <= :now
    ORDER BY available_at, study_id
    LIMIT :most
    FOR UPDATE SKIP LOCKED
)
UPDATE mirror_removals
SET available_at = :until
FROM due
WHERE mirror_removals.study_id = due.study_id
RETURNING mirror_removals.study_id, mirror_removals.experiment_id
