-- Cancel, retry, pause, resume and extend of one study exclude each other until the commit. An advisory lock, because both must take the jobs'
-- locks before the study's, as everybody does.
SELECT pg_advisory_xact_lock(hashtextextended('study ' || CAST(:study_id AS text), 0))
