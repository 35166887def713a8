-- The jobs of some attempts, locked until the commit in the order given, which is that of their ids, whoever holds them
-- and whatever their state: what is done with them has guards of its own.
SELECT held.trial_id
FROM unnest(CAST(:trial_ids AS bigint[])) AS given (trial_id)
CROSS JOIN LATERAL (
    SELECT jobs.trial_id FROM jobs WHERE jobs.trial_id = given.trial_id FOR UPDATE
) AS held
