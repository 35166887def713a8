-- Whoever adds to what is counted of an owner, or of all (the empty name), takes turns until the commit. Taken only where
-- there is a limit to keep.
SELECT pg_advisory_xact_lock(hashtextextended('owner ' || CAST(:owner AS text), 0))
