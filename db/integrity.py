"""The integrity check: the promises of docs/state_machine.md as queries over every row.

Each rule is a query that selects the rows that break it; a healthy database gives none. All rules read one snapshot, so
that a service at work does not look broken. A *leftover* is harmless: no reader sees it, and none is written now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, text

from actinium.job import TRANSITIONS

Severity = Literal["fault", "leftover"]

EXAMPLES = 5
"""How many ids a violation names."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One promise. `sql` selects the ids (`subject`s: trials, studies or contents) of those that break it."""

    name: str
    promise: str
    subject: Literal["trial", "study", "dataset"]
    sql: str
    severity: Severity = "fault"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A broken rule: how many rows break it, and the first few of their ids."""

    rule: Rule
    count: int
    examples: tuple[str, ...]


STEPS = " UNION ALL ".join(
    f"SELECT '{before}', '{after}'" for before, afters in TRANSITIONS.items() for after in sorted(afters)
)

RULES: Sequence[Rule] = (
    Rule(
        name="every trial has its job",
        promise="a trial has a job, of its own study and place",
        subject="trial",
        sql="""
            SELECT trials.id FROM trials LEFT JOIN jobs ON jobs.trial_id = trials.id
            WHERE jobs.trial_id IS NULL OR (jobs.study_id, jobs.place) <> (trials.study_id, trials.place)
        """,
    ),
    Rule(
        name="a study has all its trials",
        promise="a study has as many cells and trials as it says",
        subject="study",
        sql="""
            SELECT studies.id FROM studies
            WHERE studies.cells <> (SELECT count(*) FROM cells WHERE cells.study_id = studies.id)
               OR studies.trials <> (SELECT count(*) FROM trials WHERE trials.study_id = studies.id)
        """,
    ),
    Rule(
        name="no result is lost",
        promise="a trial that succeeded, or the one that it was reused from, has a summary",
        subject="trial",
        sql="""
            SELECT trials.id FROM trials
            JOIN jobs ON jobs.trial_id = trials.id
            LEFT JOIN summaries ON summaries.trial_id = coalesce(trials.reused_from, trials.id)
            WHERE jobs.state = 'succeeded' AND summaries.trial_id IS NULL
        """,
    ),
    Rule(
        name="no result without success",
        promise="a summary belongs to a trial that was trained and succeeded, and to the attempt that did",
        subject="trial",
        sql="""
            SELECT trials.id FROM summaries
            JOIN trials ON trials.id = summaries.trial_id
            JOIN jobs ON jobs.trial_id = summaries.trial_id
            WHERE jobs.state <> 'succeeded' OR jobs.attempt <> summaries.attempt OR trials.reused_from IS NOT NULL
               OR summaries.study_id <> trials.study_id
        """,
    ),
    Rule(
        name="no trial succeeded twice",
        promise="a trial's history has one success at most",
        subject="trial",
        sql="""
            SELECT trial_id FROM trial_events WHERE state = 'succeeded' GROUP BY trial_id HAVING count(*) > 1
        """,
    ),
    Rule(
        name="reports read every result",
        promise="a trial has a row for reports just when it succeeded",
        subject="trial",
        sql="""
            SELECT jobs.trial_id FROM jobs LEFT JOIN report_rows ON report_rows.trial_id = jobs.trial_id
            WHERE (jobs.state = 'succeeded') <> (report_rows.trial_id IS NOT NULL)
        """,
    ),
    Rule(
        name="the history ends as the job stands",
        promise="a trial's last event has its job's state and attempt; without events it was never leased",
        subject="trial",
        sql="""
            SELECT jobs.trial_id FROM jobs
            LEFT JOIN (
                SELECT DISTINCT ON (trial_id) trial_id, state, attempt FROM trial_events ORDER BY trial_id, id DESC
            ) AS last ON last.trial_id = jobs.trial_id
            WHERE (jobs.state, jobs.attempt) <> (coalesce(last.state, 'queued'), coalesce(last.attempt, 0))
        """,
    ),
    Rule(
        name="the history is possible",
        promise="states follow each other along the arrows, and the attempt rises with each lease and never else",
        subject="trial",
        sql=f"""
            SELECT DISTINCT trial_id FROM (
                SELECT trial_id, state, attempt, cause,
                    lag(state, 1, 'queued') OVER past AS before, lag(attempt, 1, 0) OVER past AS earlier
                FROM trial_events
                WINDOW past AS (PARTITION BY trial_id ORDER BY id)
            ) AS steps
            WHERE attempt <> earlier + CASE WHEN state = 'leased' THEN 1 ELSE 0 END
               OR ((before, state) NOT IN ({STEPS}) AND NOT (cause = 'reuse' AND attempt = 0))
        """,  # noqa: S608 - words of the table of transitions
    ),
    Rule(
        name="an end is an end",
        promise="a study is finished or cancelled just when nothing of it is open, and keeps the counts of that moment",
        subject="study",
        sql="""
            SELECT studies.id FROM studies
            CROSS JOIN LATERAL (
                SELECT
                    count(*) FILTER (WHERE state IN ('queued', 'leased')) AS open,
                    count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                    count(*) FILTER (WHERE state = 'failed') AS failed
                FROM jobs WHERE jobs.study_id = studies.id
            ) AS found
            WHERE (found.open = 0) <> (studies.finished_at IS NOT NULL OR studies.cancelled_at IS NOT NULL)
               OR (CAST(final_counts ->> 'succeeded' AS bigint), CAST(final_counts ->> 'failed' AS bigint))
                    <> (found.succeeded, found.failed)
        """,
    ),
    Rule(
        name="nothing is leased in a pause",
        promise="of a study that is paused no trial is leased",
        subject="trial",
        sql="""
            SELECT jobs.trial_id FROM jobs JOIN studies ON studies.id = jobs.study_id
            WHERE jobs.state = 'leased' AND studies.paused_at IS NOT NULL
        """,
    ),
    Rule(
        name="a result has its frames",
        promise="a trial that was trained and succeeded has the frame of step 0 of the attempt that did",
        subject="trial",
        sql="""
            SELECT jobs.trial_id FROM summaries AS jobs
            LEFT JOIN frames ON (frames.trial_id, frames.attempt, frames.step) = (jobs.trial_id, jobs.attempt, 0)
            WHERE frames.trial_id IS NULL
        """,
    ),
    Rule(
        name="frames belong to somebody",
        promise="a frame is of an attempt that was leased, under a layout that is there",
        subject="trial",
        sql="""
            SELECT DISTINCT held.trial_id FROM (
                SELECT trial_id, attempt, layout_id FROM frames GROUP BY trial_id, attempt, layout_id
            ) AS held
            LEFT JOIN jobs ON jobs.trial_id = held.trial_id
            LEFT JOIN layouts ON layouts.id = held.layout_id
            WHERE jobs.trial_id IS NULL OR layouts.id IS NULL OR held.attempt NOT BETWEEN 1 AND jobs.attempt
        """,
    ),
    Rule(
        name="no frames of dead attempts",
        promise="a trial that succeeded keeps the frames of that attempt alone; others are of a time before the fence",
        subject="trial",
        sql="""
            SELECT DISTINCT frames.trial_id FROM frames JOIN summaries ON summaries.trial_id = frames.trial_id
            WHERE frames.attempt < summaries.attempt
        """,
        severity="leftover",
    ),
    Rule(
        name="the mirror was told, or will be",
        promise="a trial's end stands in the mirror, or is news in the outbox; the mirror is never ahead",
        subject="trial",
        sql="""
            SELECT jobs.trial_id FROM jobs
            JOIN trials ON trials.id = jobs.trial_id
            LEFT JOIN mirrored_trials AS mirror ON mirror.trial_id = jobs.trial_id
            LEFT JOIN outbox ON outbox.kind = 'trial' AND outbox.subject_id = jobs.trial_id
            WHERE mirror.attempt > jobs.attempt
               OR (
                    jobs.state IN ('succeeded', 'failed', 'cancelled')
                    AND (jobs.attempt > 0 OR trials.reused_from IS NOT NULL)
                    AND outbox.subject_id IS NULL
                    AND (mirror.attempt, mirror.closed) IS DISTINCT FROM (jobs.attempt, jobs.state)
               )
        """,
    ),
    Rule(
        name="datasets are undamaged",
        promise="each piece of a dataset that was added has the SHA-256 that it was written with",
        subject="dataset",
        sql="SELECT DISTINCT sha256 FROM dataset_pieces WHERE digest <> sha256(content)",
    ),
    Rule(
        name="datasets are whole",
        promise="the pieces of a dataset that was added are as long as its file was",
        subject="dataset",
        sql="""
            SELECT whole.sha256 FROM dataset_contents AS whole
            WHERE whole.file_bytes <> (
                SELECT coalesce(sum(octet_length(content)), 0) FROM dataset_pieces WHERE sha256 = whole.sha256
            )
        """,
    ),
)
"""One visible table. A rule more is an entry more."""


def check(conn: Connection) -> list[Violation]:
    """Every rule that something breaks, in the caller's transaction; in one of REPEATABLE READ all see one moment."""
    findings = []
    for rule in RULES:
        first = f"SELECT count(*) OVER (), id FROM ({rule.sql}) AS broken (id) ORDER BY id LIMIT {EXAMPLES}"  # noqa: S608
        found = conn.execute(text(first)).all()
        if found:
            findings.append(Violation(rule=rule, count=found[0][0], examples=tuple(str(row[1]) for row in found)))
    return findings


def examine(engine: Engine) -> list[Violation]:
    """`check` in one snapshot of its own, with as much time as it takes. Reads only; a service may be at work."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        conn.execute(text("SET TRANSACTION READ ONLY"))
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        return check(conn)
