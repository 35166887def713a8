-- The jobs of a study's new trials, those from `:first_place` on: queued, due at once, none attempted; or succeeded where
-- the trial is linked with one that did.
INSERT INTO jobs (trial_id, study_id, place, pack_key, state, available_at, finished_at)
SELECT
    trials.id,
    trials.study_id,
    trials.place,
    cells.pack_key,
    CASE WHEN trials.reused_from IS NULL THEN 'queued' ELSE 'succeeded' END,
    :now,
    CASE WHEN trials.reused_from IS NOT NULL THEN CAST(:now AS timestamptz) END
FROM trials
JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
WHERE trials.study_id = :study_id AND trials.place >= :first_place
ORDER BY trials.place
