-- Due jobs, counted no further than `:most`.
SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'queued' AND available_at <= :now LIMIT :most) AS due
