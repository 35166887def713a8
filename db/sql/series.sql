-- One series of every trial of a study that succeeded, from the attempts that did, set-wise: the layout of each frame
-- says where the value stands.
COPY (
    SELECT frames.trial_id, frames.step, frames.values[place.position] AS value
    FROM (SELECT id, array_position(series, CAST(%(name)s AS text)) AS position FROM layouts) AS place
    JOIN frames ON frames.layout_id = place.id
    JOIN summaries ON summaries.trial_id = frames.trial_id AND summaries.attempt = frames.attempt
    WHERE summaries.study_id = %(study_id)s AND place.position IS NOT NULL
    ORDER BY frames.trial_id, frames.step
) TO STDOUT (FORMAT binary)
