-- Studies whose trials show results of a study's trials, a few of them.
SELECT DISTINCT linked.study_id
FROM trials AS linked
JOIN trials AS own ON own.id = linked.reused_from
WHERE linked.reused_from IS NOT NULL AND own.study_id = :study_id AND linked.study_id <> :study_id
ORDER BY linked.study_id
LIMIT 20
