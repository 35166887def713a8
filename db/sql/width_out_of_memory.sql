-- Memory was lacking at a width.
INSERT INTO pack_widths (pack_key, device, width, seconds_per_lane_step, measured_at, out_of_memory_at)
VALUES (:pack_key, :device, :width, CAST(ARRAY[] AS real[]), :now, :now)
ON CONFLICT (pack_key, device, width) DO UPDATE SET out_of_memory_at = excluded.out_of_memory_at
