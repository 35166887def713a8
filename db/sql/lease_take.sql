-- queued -> leased, for a whole pack: the attempt's number rises, and is the fence of everything that follows.
-- Guard: state = 'queued' under the row's lock; SKIP LOCKED, so that each job goes to one holder.
-- A study that was paused since its lead was found gives nothing: whoever pauses waits for the lead's lock, or was before
-- this statement's snapshot.
-- Only jobs of the lead's width limit come along: suspects do not spread suspicion to the innocent. And only those of its
-- checkpoint, or of none: lanes of a pack are all at one step.
WITH pack AS (
    SELECT trial_id
    FROM jobs
    WHERE study_id = :study_id
      AND pack_key = :pack_key
      AND width_limit = :width_limit
      AND checkpoint = :checkpoint
      AND state = 'queued'
      AND available_at <= :now
      AND EXISTS (SELECT FROM studies WHERE studies.id = :study_id AND studies.paused_at IS NULL)
    ORDER BY place
    LIMIT :width
    FOR UPDATE SKIP LOCKED
),
changed AS (
    UPDATE jobs
    SET state = 'leased',
        attempt = jobs.attempt + 1,
        holder = :holder,
        leased_at = :now,
        lease_expires_at = :expires_at
    FROM pack
    JOIN trials ON trials.id = pack.trial_id
    JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
    WHERE jobs.trial_id = pack.trial_id AND jobs.state = 'queued'
    RETURNING jobs.trial_id, jobs.attempt, jobs.checkpoint, trials.cell_index, trials.seed, CAST(cells.config AS text) AS config
),
told AS (
    INSERT INTO trial_events (trial_id, at, state, attempt, cause, who, reason)
    SELECT trial_id, :now, 'leased', attempt, 'lease', :holder, CASE WHEN checkpoint <> '' THEN 'from a checkpoint' END
    FROM changed
    ORDER BY trial_id
)
SELECT trial_id, attempt, cell_index, seed, config FROM changed
