-- Trials of some studies by state and by outcome, in one statement and so at one moment. Index-only where vacuumed.
-- A reused trial counts with the outcome of the trial it is linked with, and once more as `reused`.
WITH reused AS (
    SELECT trials.study_id, summaries.outcome, count(*) AS n
    FROM trials
    JOIN summaries ON summaries.trial_id = trials.reused_from
    WHERE trials.study_id = ANY(CAST(:study_ids AS bigint[])) AND trials.reused_from IS NOT NULL
    GROUP BY trials.study_id, summaries.outcome
),
counted AS (
    SELECT study_id, state AS word, count(*) AS n
    FROM jobs
    WHERE study_id = ANY(CAST(:study_ids AS bigint[]))
    GROUP BY study_id, state
    UNION ALL
    SELECT study_id, outcome, count(*)
    FROM summaries
    WHERE study_id = ANY(CAST(:study_ids AS bigint[]))
    GROUP BY study_id, outcome
    UNION ALL
    SELECT study_id, outcome, n FROM reused
    UNION ALL
    SELECT study_id, 'reused', n FROM reused
)
SELECT study_id, word, CAST(sum(n) AS bigint) AS n FROM counted GROUP BY study_id, word
