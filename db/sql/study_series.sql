-- The layouts that a study's frames have; every trial's first frame is that of step 0.
SELECT layouts.series
FROM layouts
WHERE layouts.id IN (
    SELECT frames.layout_id
    FROM jobs
    JOIN frames ON frames.trial_id = jobs.trial_id AND frames.attempt = jobs.attempt AND frames.step = 0
    WHERE jobs.study_id = :study_id
)
