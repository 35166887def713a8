-- A pack was measured at a width: the latest `:most` times stay, oldest first.
INSERT INTO pack_widths AS known (pack_key, device, width, seconds_per_lane_step, measured_at)
VALUES (:pack_key, :device, :width, ARRAY[CAST(:seconds AS real)], :now)
ON CONFLICT (pack_key, device, width) DO UPDATE
SET seconds_per_lane_step = (known.seconds_per_lane_step || excluded.seconds_per_lane_step)[
        greatest(1, cardinality(known.seconds_per_lane_step) + 2 - :most):],
    measured_at = excluded.measured_at
