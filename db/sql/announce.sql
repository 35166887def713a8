-- A study or trial has news for the mirror, due at once. It stands in the outbox once; its version rises with each
-- piece of news, so that what came while the mirror was at work is not taken for mirrored (outbox_forget.sql).
-- Rows are written in order of id, so that no two batches wait in a ring.
INSERT INTO outbox (kind, subject_id, available_at)
SELECT CAST(:kind AS text), subject_id, '-infinity'
FROM unnest(CAST(:subject_ids AS bigint[])) AS given (subject_id)
ORDER BY subject_id
ON CONFLICT (kind, subject_id) DO UPDATE SET version = outbox.version + 1
