-- Shared by all that link new trials with old ones (history_lock.sql).
SELECT pg_advisory_xact_lock_shared(hashtextextended('history', 0))
