-- A page of a study's report rows under one layout, each column as one string of bytes, the rows in order of trial.
-- No aggregate may say DISTINCT or ORDER BY: the server would sort the rows for it, wide as they are, and every other
-- aggregate would see that order.
-- Driver's parameters, because the answer must come in binary.
WITH page AS (
    SELECT *
    FROM report_rows
    WHERE study_id = %(study_id)s AND layout_id = %(layout_id)s AND trial_id > %(after)s
    ORDER BY trial_id
    LIMIT %(most)s
)
SELECT
    count(*) AS trials,
    string_agg(int8send(trial_id), '') AS trial_id,
    string_agg(int4send(cell_index) || int4send(seed) || int4send(steps), '') AS numbers,
    string_agg(int4send(octet_length(curve_steps) / 4), '') AS points,
    string_agg(outcome, ' ') AS outcome,
    min(versions) AS least_versions,
    max(versions) AS most_versions,
    string_agg(substring(metrics FOR %(bytes)s), '') AS metrics,
    string_agg(curve_steps, '') AS curve_steps,
    string_agg(curve_losses, '') AS curve_losses
FROM page
