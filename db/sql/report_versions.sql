-- Which versions of measurements a study's trials hold, each combination once.
SELECT DISTINCT versions FROM report_rows WHERE study_id = :study_id ORDER BY versions
