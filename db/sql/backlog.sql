-- Due jobs of the studies that are open and not paused, counted no further than `:most`.
SELECT count(*)
FROM (
    SELECT
    FROM studies
    CROSS JOIN LATERAL (
        SELECT
        FROM jobs
        WHERE jobs.study_id = studies.id AND jobs.state = 'queued' AND jobs.available_at <= :now
        ORDER BY jobs.place
        LIMIT :most
    ) AS front
    WHERE studies.finished_at IS NULL AND studies.cancelled_at IS NULL AND studies.paused_at IS NULL
    LIMIT :most
) AS due
