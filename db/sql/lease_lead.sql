-- Whose turn is it, and which job leads the next pack?
-- Studies come by priority, then the owner with the fewest leased trials, then age; of the first that has one, the
-- earliest job that is queued, due, and not being leased by somebody else at this moment.
-- Owners who have `:most_leased` trials leased are passed over.
-- Guard: SKIP LOCKED, and the row's lock until the commit: no two transactions lead with the same job.
-- Cost: a row a study that is open, a row a lane that is leased, one probe of ix_jobs_front; not the queue's depth.
SELECT
    lead.trial_id,
    turn.id AS study_id,
    turn.started_at,
    turn.leased,
    turn.priority,
    lead.pack_key,
    lead.width_limit,
    lead.checkpoint,
    CAST(cells.config AS text) AS config,
    trials.seed
FROM (
    SELECT studies.id, studies.priority, studies.started_at, coalesce(load.leased, 0) AS leased
    FROM studies
    LEFT JOIN (
        SELECT studies.owner, sum(lent.n) AS leased
        FROM (SELECT study_id, count(*) AS n FROM jobs WHERE state = 'leased' GROUP BY study_id) AS lent
        JOIN studies ON studies.id = lent.study_id
        GROUP BY studies.owner
    ) AS load ON load.owner = studies.owner
    WHERE studies.finished_at IS NULL AND studies.cancelled_at IS NULL AND studies.paused_at IS NULL
      AND coalesce(load.leased, 0) < :most_leased
    ORDER BY studies.priority DESC, coalesce(load.leased, 0), studies.id
) AS turn
CROSS JOIN LATERAL (
    SELECT jobs.trial_id, jobs.pack_key, jobs.width_limit, jobs.checkpoint
    FROM jobs
    WHERE jobs.study_id = turn.id AND jobs.state = 'queued' AND jobs.available_at <= :now
    ORDER BY jobs.place
    LIMIT 1
    FOR UPDATE SKIP LOCKED
) AS lead
JOIN trials ON trials.id = lead.trial_id
JOIN cells ON cells.study_id = turn.id AND cells.index = trials.cell_index
ORDER BY turn.priority DESC, turn.leased, turn.id
LIMIT 1
