-- One series by cell and step, over the trials that run or succeeded: mean, deviation and count of the finite values of
-- each one's current attempt. Earlier attempts and what was given up do not count.
SELECT
    trials.cell_index,
    frames.step,
    avg(measured.value) AS mean,
    stddev_samp(measured.value) AS deviation,
    count(*) AS n
FROM jobs
JOIN trials ON trials.id = jobs.trial_id
JOIN frames ON frames.trial_id = jobs.trial_id AND frames.attempt = jobs.attempt
JOIN (SELECT id, array_position(series, CAST(:name AS text)) AS position FROM layouts) AS place
    ON place.id = frames.layout_id AND place.position IS NOT NULL
CROSS JOIN LATERAL (SELECT CAST(frames.values[place.position] AS double precision) AS value) AS measured
WHERE jobs.study_id = :study_id
  AND jobs.state IN ('leased', 'succeeded')
  -- PostgreSQL sorts NaN above infinity, so these two leave finite values only.
  AND measured.value < 'Infinity'
  AND measured.value > '-Infinity'
GROUP BY trials.cell_index, frames.step
ORDER BY trials.cell_index, frames.step
