-- Open jobs of all studies, each count over its own partial index.
SELECT
    (SELECT count(*) FROM jobs WHERE state = 'queued') AS queued,
    (SELECT count(*) FROM jobs WHERE state = 'leased') AS leased
