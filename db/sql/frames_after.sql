-- For each trial the frames of one attempt past a step, the earliest first and at most `:most` a trial.
SELECT late.trial_id, late.attempt, late.step, late.time, late.values, layouts.series
FROM unnest(CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:steps AS integer[]))
    AS given (trial_id, attempt, step)
CROSS JOIN LATERAL (
    SELECT *
    FROM frames
    WHERE frames.trial_id = given.trial_id AND frames.attempt = given.attempt AND frames.step > given.step
    ORDER BY frames.step
    LIMIT :most
) AS late
JOIN layouts ON layouts.id = late.layout_id
ORDER BY late.trial_id, late.step
