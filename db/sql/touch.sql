-- A study's revision rises by one for each transaction that changes what a reader sees of it.
-- Guard: the row's lock, taken in order of id and held to the commit, so that two transactions that end the same
-- study's last trials come one after the other, and the later one (settle.sql) sees what the earlier one did.
WITH touched AS (
    SELECT id FROM studies WHERE id = ANY(CAST(:study_ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE
)
UPDATE studies
SET revision = studies.revision + 1
FROM touched
WHERE studies.id = touched.id
