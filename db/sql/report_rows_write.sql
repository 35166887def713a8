-- What reports read of trials that have just succeeded: their metrics, packed, and their evaluation losses by step, out
-- of the frames of the attempt that did. Frames that are no evaluations (NaN there) do not count; those of a trial that
-- was trained before evaluations had a series of their own have the validation loss.
-- Guard: called in the transaction that wrote the summaries, of the attempts that were accepted.
-- The metrics come as one string of bytes, `:bytes` a trial: an array of bytes would be written and read as text.
WITH given AS (
    SELECT *
    FROM unnest(
        CAST(:trial_ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:outcomes AS text[]),
        CAST(:steps AS integer[]), CAST(:versions AS text[])
    ) WITH ORDINALITY AS given (trial_id, attempt, outcome, steps, versions, place)
),
place AS MATERIALIZED (
    SELECT
        id, series [position] = 'evaluation_loss' AS of_evaluations, position
    FROM layouts, coalesce(
        array_position(series, 'evaluation_loss'), array_position(series, 'validation_loss')
    ) AS position
    WHERE position IS NOT NULL
),
curve AS (
    SELECT
        frames.trial_id,
        string_agg(int4send(frames.step), '' ORDER BY frames.step) AS steps,
        string_agg(float4send(frames.values[place.position]), '' ORDER BY frames.step) AS losses
    FROM given
    JOIN frames ON frames.trial_id = given.trial_id AND frames.attempt = given.attempt
    JOIN place ON place.id = frames.layout_id
    WHERE NOT (place.of_evaluations AND frames.values[place.position] = 'NaN')
    GROUP BY frames.trial_id
)
INSERT INTO report_rows
    (trial_id, study_id, layout_id, cell_index, seed, steps, outcome, versions, metrics, curve_steps, curve_losses)
SELECT
    trials.id,
    trials.study_id,
    :layout_id,
    trials.cell_index,
    trials.seed,
    given.steps,
    given.outcome,
    given.versions,
    substring(CAST(:metrics AS bytea) FROM CAST(given.place - 1 AS integer) * :bytes + 1 FOR :bytes),
    coalesce(curve.steps, ''),
    coalesce(curve.losses, '')
FROM given
JOIN trials ON trials.id = given.trial_id
LEFT JOIN curve ON curve.trial_id = given.trial_id
