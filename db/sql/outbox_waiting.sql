-- News not mirrored, counted no further than `:most`.
SELECT count(*) FROM (SELECT FROM outbox LIMIT :most) AS news
