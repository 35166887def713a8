-- A study with no queued and no leased job is finished.
-- Guard: not finished before. Must follow touch.sql in the same transaction, as a statement of its own: only then does
-- its snapshot hold what the transactions before it committed.
UPDATE studies
SET finished_at = :now
WHERE id = ANY(CAST(:study_ids AS bigint[]))
  AND finished_at IS NULL
  AND NOT EXISTS (SELECT FROM jobs WHERE jobs.study_id = studies.id AND jobs.state = 'queued')
  AND NOT EXISTS (SELECT FROM jobs WHERE jobs.study_id = studies.id AND jobs.state = 'leased')
RETURNING id
