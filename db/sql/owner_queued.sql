-- The trials of an owner that are queued, in studies that are open, counted no further than `:most`.
SELECT count(*)
FROM (
    SELECT
    FROM studies
    CROSS JOIN LATERAL (
        SELECT
        FROM jobs
        WHERE jobs.study_id = studies.id AND jobs.state = 'queued'
        ORDER BY jobs.place
        LIMIT :most
    ) AS front
    WHERE studies.owner = :owner AND studies.finished_at IS NULL AND studies.cancelled_at IS NULL
    LIMIT :most
) AS waiting
