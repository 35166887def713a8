-- Whoever deletes a study holds this alone until the commit, and whoever links new trials with old ones holds it shared
-- (history_lock_shared.sql): else a link could be made to a trial that is being deleted.
SELECT pg_advisory_xact_lock(hashtextextended('history', 0))
