-- What an operator watches, in one statement and so at one moment. Rows read: one a study that is open, one a lane that is
-- leased, and no more than `:most` of the outbox; the queue's depth does not enter.
-- `oldest_due`: since when the job at the front of some open study has been due. `oldest_unmirrored`: when the earliest
-- of the trials that ended, and that the mirror has not closed, did.
WITH fronts AS (
    SELECT front.available_at
    FROM studies
    CROSS JOIN LATERAL (
        SELECT jobs.available_at
        FROM jobs
        WHERE jobs.study_id = studies.id AND jobs.state = 'queued' AND jobs.available_at <= :now
        ORDER BY jobs.place
        LIMIT 1
    ) AS front
    WHERE studies.finished_at IS NULL AND studies.cancelled_at IS NULL AND studies.paused_at IS NULL
),
lent AS (
    SELECT lease_expires_at, leased_at FROM jobs WHERE state = 'leased'
),
news AS MATERIALIZED (
    SELECT kind, subject_id FROM outbox ORDER BY available_at, kind, subject_id LIMIT :most
)
SELECT
    (SELECT min(available_at) FROM fronts) AS oldest_due,
    (SELECT count(*) FROM lent WHERE lease_expires_at < :now) AS expired,
    (SELECT count(*) FROM lent WHERE lease_expires_at >= :now AND lease_expires_at < :soon) AS expiring,
    (SELECT min(leased_at) FROM lent) AS oldest_lease,
    (SELECT count(*) FROM studies WHERE finished_at IS NULL AND cancelled_at IS NULL AND paused_at IS NOT NULL) AS paused,
    (SELECT count(*) FROM news) AS unmirrored,
    (
        SELECT min(jobs.finished_at) FROM news JOIN jobs ON jobs.trial_id = news.subject_id WHERE news.kind = 'trial'
    ) AS oldest_unmirrored
