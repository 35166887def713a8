-- What an owner has in all: studies, and the trials in them.
SELECT count(*) AS studies, coalesce(sum(trials), 0) AS trials FROM studies WHERE owner = :owner
