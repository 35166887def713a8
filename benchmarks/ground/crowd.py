"""Very many trials, set-wise: copies of a study inside the database."""

from datetime import datetime

from sqlalchemy import Engine, text

from actinium.job import StudyId

STUDIES = """
    INSERT INTO studies (spec, owner, invalid_designs, cells, trials, created_at)
    SELECT CAST(jsonb_set(CAST(spec AS jsonb), '{name}', to_jsonb(concat(name, '-', n))) AS json), owner,
           invalid_designs, cells, trials, created_at
    FROM studies CROSS JOIN generate_series(1, :copies) AS n
    WHERE id = :study_id
    RETURNING id
"""
CELLS = """
    INSERT INTO cells (study_id, index, levels, config, pack_key)
    SELECT made, index, levels, config, pack_key FROM cells CROSS JOIN unnest(CAST(:made AS bigint[])) AS made
    WHERE study_id = :study_id
"""
TRIALS = """
    INSERT INTO trials (study_id, place, cell_index, seed, digest)
    SELECT made, place, cell_index, seed, digest FROM trials CROSS JOIN unnest(CAST(:made AS bigint[])) AS made
    WHERE study_id = :study_id
    ORDER BY made, place
"""
JOBS = """
    INSERT INTO jobs (trial_id, study_id, place, pack_key, available_at)
    SELECT trials.id, trials.study_id, trials.place, cells.pack_key, :now
    FROM trials JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
    WHERE trials.study_id = ANY(CAST(:made AS bigint[]))
    ORDER BY trials.id
"""
DONE = """
    UPDATE jobs SET state = 'succeeded', attempt = 1, finished_at = :now
    WHERE study_id = ANY(CAST(:made AS bigint[])) AND place % :share <> 0
"""
SUMMARIES = """
    INSERT INTO summaries (trial_id, study_id, attempt, outcome, summary)
    SELECT trial_id, study_id, 1, 'converged', '{}' FROM jobs
    WHERE study_id = ANY(CAST(:made AS bigint[])) AND state = 'succeeded'
"""
FINISHED = """
    UPDATE studies
    SET started_at = :now,
        finished_at = CASE WHEN :share > trials THEN CAST(:now AS timestamptz) END,
        final_counts = CASE WHEN :share > trials
            THEN jsonb_build_object('succeeded', trials, 'converged', trials) END
    WHERE id = ANY(CAST(:made AS bigint[]))
"""


def copies(engine: Engine, study_id: StudyId, *, count: int, now: datetime) -> list[StudyId]:
    """So many copies of a study, every trial queued."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        made = connection.execute(text(STUDIES), {"study_id": study_id, "copies": count}).scalars().all()
        for statement in (CELLS, TRIALS, JOBS):
            parameters = {"study_id": study_id, "made": made, "now": now}
            connection.execute(text(statement), {k: v for k, v in parameters.items() if f":{k}" in statement})
    return [StudyId(number) for number in made]


def finish_most(engine: Engine, made: list[StudyId], *, share: int, now: datetime) -> None:
    """All trials of the copies succeed but each `share`-th; with a share past the last one, all, and the study ends."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in (DONE, SUMMARIES, FINISHED):
            parameters = {"made": made, "now": now, "share": share}
            connection.execute(text(statement), {k: v for k, v in parameters.items() if f":{k}" in statement})
