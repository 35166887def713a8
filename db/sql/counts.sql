-- Trials of some studies by state and by outcome, in one statement and so at one moment. Index-only where vacuumed.
SELECT study_id, state AS word, count(*) AS n
FROM jobs
WHERE study_id = ANY(CAST(:study_ids AS bigint[]))
GROUP BY study_id, state
UNION ALL
SELECT study_id, outcome, count(*)
FROM summaries
WHERE study_id = ANY(CAST(:study_ids AS bigint[]))
GROUP BY study_id, outcome
