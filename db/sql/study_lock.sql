-- Cancel, retry, pause, resume and extend of one study exclude each other until the commit. An advisory lock and not the
-- study's row: everybody locks rows of jobs before those of studies (docs/state_machine.md).
SELECT pg_advisory_xact_lock(hashtextextended('study ' || CAST(:study_id AS text), 0))
