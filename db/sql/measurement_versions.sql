-- Which versions of measurements a study's summaries hold, each combination once; read from the rows' heads alone.
SELECT DISTINCT coalesce(measurement_versions, '{}') AS versions
FROM summaries
WHERE study_id = :study_id
ORDER BY versions
