-- One series by cell and step, over the trials that run or succeeded: mean, deviation and count of the finite values of
-- each one's current attempt, a reused trial's where it was trained. Earlier attempts and what was given up do not count.
-- Materialized, so that the series' place is found once a layout, and what is sorted is one number a frame.
WITH place AS MATERIALIZED (
    SELECT id, array_position(series, CAST(:name AS text)) AS position
    FROM layouts
    WHERE CAST(:name AS text) = ANY (series)
),
current AS MATERIALIZED (
    SELECT jobs.trial_id, jobs.attempt, trials.cell_index
    FROM jobs
    JOIN trials ON trials.id = jobs.trial_id
    WHERE jobs.study_id = :study_id AND jobs.state IN ('leased', 'succeeded')
    UNION ALL
    SELECT trained.trial_id, trained.attempt, trials.cell_index
    FROM trials
    JOIN jobs AS trained ON trained.trial_id = trials.reused_from
    WHERE trials.study_id = :study_id AND trials.reused_from IS NOT NULL
),
measured AS MATERIALIZED (
    SELECT current.cell_index, frames.step, CAST(frames.values[place.position] AS double precision) AS value
    FROM current
    JOIN frames ON frames.trial_id = current.trial_id AND frames.attempt = current.attempt
    JOIN place ON place.id = frames.layout_id
)
SELECT cell_index, step, avg(value) AS mean, stddev_samp(value) AS deviation, count(*) AS n
FROM measured
-- PostgreSQL sorts NaN above infinity, so these two leave finite values only.
WHERE value < 'Infinity' AND value > '-Infinity'
GROUP BY cell_index, step
ORDER BY cell_index, step
