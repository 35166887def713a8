-- The checkpoints that some trial goes on from. Only open trials have one (a check of the table), and the names alone are
-- read, from a partial index.
SELECT DISTINCT checkpoint FROM jobs WHERE checkpoint <> ''
