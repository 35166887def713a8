-- One series of every trial of a study that succeeded, from the attempts that did, set-wise: the layout of each frame
-- says where the value stands. Materialized, so that what is sorted is one number a frame, not the whole frame.
COPY (
    WITH place AS MATERIALIZED (
        SELECT id, array_position(series, CAST(%(name)s AS text)) AS position
        FROM layouts
        WHERE CAST(%(name)s AS text) = ANY (series)
    ),
    measured AS MATERIALIZED (
        SELECT frames.trial_id, frames.step, frames.values[place.position] AS value
        FROM summaries
        JOIN frames ON frames.trial_id = summaries.trial_id AND frames.attempt = summaries.attempt
        JOIN place ON place.id = frames.layout_id
        WHERE summaries.study_id = %(study_id)s
    )
    SELECT trial_id, step, value FROM measured ORDER BY trial_id, step
) TO STDOUT (FORMAT binary)
