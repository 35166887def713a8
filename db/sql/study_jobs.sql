-- The jobs of a study's new trials, those from `:first_place` on: every one queued, due at once, none attempted.
INSERT INTO jobs (trial_id, study_id, place, pack_key, available_at)
SELECT trials.id, trials.study_id, trials.place, cells.pack_key, :now
FROM trials
JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
WHERE trials.study_id = :study_id AND trials.place >= :first_place
ORDER BY trials.place
