-- The layouts that a study's frames have; every trial's first frame is that of step 0. Reused trials have those of the
-- trials they are linked with.
WITH trained AS (
    SELECT jobs.trial_id, jobs.attempt
    FROM jobs
    WHERE jobs.study_id = :study_id
    UNION ALL
    SELECT jobs.trial_id, jobs.attempt
    FROM trials
    JOIN jobs ON jobs.trial_id = trials.reused_from
    WHERE trials.study_id = :study_id AND trials.reused_from IS NOT NULL
)
SELECT layouts.series
FROM layouts
WHERE layouts.id IN (
    SELECT frames.layout_id
    FROM trained
    JOIN frames ON frames.trial_id = trained.trial_id AND frames.attempt = trained.attempt AND frames.step = 0
)
