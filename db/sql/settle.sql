-- A study with no queued and no leased job is finished.
-- Guard: not finished before. Must follow touch.sql in the same transaction, as a statement of its own: only then does
-- its snapshot hold what the transactions before it committed.
-- The first by place, and not just any: that one stands at the front of a partial index.
UPDATE studies
SET finished_at = :now
WHERE id = ANY(CAST(:study_ids AS bigint[]))
  AND finished_at IS NULL
  AND (SELECT place FROM jobs WHERE study_id = studies.id AND state = 'queued' ORDER BY place LIMIT 1) IS NULL
  AND (SELECT place FROM jobs WHERE study_id = studies.id AND state = 'leased' ORDER BY place LIMIT 1) IS NULL
RETURNING id
