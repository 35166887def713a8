-- queued -> failed, for what is queued of the cell of one trial, once `:most` lives of the cell have ended, alone in their
-- pack, for want of memory: its other seeds need as much.
-- Guard: the state under the row's lock, and the count of the cell's lives. Rows are locked in order of id.
WITH cell AS (
    SELECT trials.id
    FROM trials
    JOIN trials AS given ON given.study_id = trials.study_id AND given.cell_index = trials.cell_index
    WHERE given.id = :trial_id
),
held AS (
    SELECT jobs.trial_id
    FROM cell
    JOIN jobs ON jobs.trial_id = cell.id
    WHERE jobs.state = 'queued'
      AND (SELECT sum(jobs.memory_failures) FROM cell JOIN jobs ON jobs.trial_id = cell.id) >= :most
    ORDER BY jobs.trial_id
    FOR UPDATE OF jobs
),
changed AS (
    UPDATE jobs
    SET state = 'failed',
        finished_at = :now,
        checkpoint = '',
        failure_class = 'infrastructure',
        error = CAST(:error AS text)
    FROM held
    WHERE jobs.trial_id = held.trial_id AND jobs.state = 'queued'
    RETURNING jobs.trial_id, jobs.study_id, jobs.attempt
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who, reason)
    SELECT trial_id, :now, 'failed', attempt, 'out_of_memory', CAST(:who AS text), CAST(:reason AS text)
    FROM changed
    ORDER BY trial_id
)
SELECT trial_id, study_id FROM changed
