-- Due jobs of the lead's pack, the lead among them, counted no further than `:most`.
SELECT count(*)
FROM (
    SELECT
    FROM jobs
    WHERE study_id = :study_id
      AND pack_key = :pack_key
      AND width_limit = :width_limit
      AND state = 'queued'
      AND available_at <= :now
    ORDER BY place
    LIMIT :most
) AS due
