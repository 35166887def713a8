-- Studies that are open and train on a content, a few of them: their next attempts would not find it.
SELECT studies.id
FROM studies
WHERE studies.finished_at IS NULL AND studies.cancelled_at IS NULL
  AND EXISTS (
    SELECT FROM cells
    WHERE cells.study_id = studies.id AND cells.config -> 'task' -> 'stored' ->> 'sha256' = :sha256
  )
ORDER BY studies.id
LIMIT 20
