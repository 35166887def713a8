"""Frames in and out: binary COPY, a row a frame, under layouts that name the series once."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects.postgresql import insert

from actinium.frame import Frame, Layout
from actinium.job import Attempt, TrialId
from db import outbox
from db.binary_copy import encode, psycopg_connection
from db.models import layouts
from db.statements import statement

COLUMNS = "(trial_id, attempt, step, time, layout_id, values)"


@dataclass(frozen=True, kw_only=True)
class TrialFrames:
    """One attempt's frames in order of step: `steps` [F] int64, `times` [F] seconds, `values` [F, S] float32."""

    trial_id: TrialId
    attempt: int
    layout: Layout
    steps: NDArray[np.int64]
    times: NDArray[np.float32]
    values: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FramePosition:
    """How far somebody has read a trial's attempt: the frames past `step` are wanted (-1: all of them)."""

    trial_id: TrialId
    attempt: int
    step: int


def write(conn: Connection, layout: Layout, frames: Sequence[Frame], *, ending: Collection[Attempt] = ()) -> int:
    """Store frames and put their trials in the outbox; how many were taken. A frame that is there already stays.

    Fenced: frames of an attempt that does not hold its lease are dropped, and until the transaction ends nobody ends
    those of which frames were taken. `ending`: attempts whose end the same transaction goes on to write; they are
    locked together with the others.
    """
    if not frames:
        return 0
    asked = {(frame.trial_id, frame.attempt) for frame in frames}
    locked = sorted(asked | {(attempt.trial_id, attempt.attempt) for attempt in ending})
    fences = {"trial_ids": [one for one, _ in locked], "attempts": [attempt for _, attempt in locked]}
    held = conn.execute(statement("frames_fence"), {**fences, "digest": layout.digest()}).all()
    taken = asked & {(row.trial_id, row.attempt) for row in held}
    if taken != asked:
        frames = [frame for frame in frames if (frame.trial_id, frame.attempt) in taken]
    if not frames:
        return 0
    known = held[0].layout_id
    stream = _stream(layout_id(conn, layout) if known is None else known, layout, frames)
    try:
        with conn.begin_nested():
            _copy(conn, f"COPY frames {COLUMNS} FROM STDIN (FORMAT binary)", stream)
    except UniqueViolation:
        # Frames come twice when the answer to a commit was lost, and it had succeeded.
        conn.exec_driver_sql("CREATE TEMPORARY TABLE arriving (LIKE frames) ON COMMIT DROP")
        _copy(conn, f"COPY arriving {COLUMNS} FROM STDIN (FORMAT binary)", stream)
        conn.exec_driver_sql("INSERT INTO frames SELECT * FROM arriving ON CONFLICT DO NOTHING")
        conn.exec_driver_sql("DROP TABLE arriving")
    outbox.announce(conn, kind="trial", subjects={trial_id for trial_id, _ in taken})
    return len(frames)


def read(conn: Connection, trial_id: TrialId) -> TrialFrames:
    """The frames of a trial's attempt that counts: the one that succeeded, or else the last one. May be none."""
    rows = conn.execute(statement("current_attempt"), {"trial_id": trial_id}).all()
    if rows:
        return _collected(rows)
    nothing = np.empty((0, 0), dtype=np.float32)
    return TrialFrames(
        trial_id=trial_id,
        attempt=0,
        layout=Layout(series=()),
        steps=np.empty(0, dtype=np.int64),
        times=nothing[:, :0].reshape(0),
        values=nothing,
    )


def after(conn: Connection, cursors: Sequence[FramePosition], *, most: int) -> dict[TrialId, TrialFrames]:
    """The frames past each cursor, at most `most` a trial; trials without any are absent."""
    rows = conn.execute(
        statement("frames_after"),
        {
            "trial_ids": [cursor.trial_id for cursor in cursors],
            "attempts": [cursor.attempt for cursor in cursors],
            "steps": [cursor.step for cursor in cursors],
            "most": most,
        },
    )
    by_trial = groupby(rows, key=lambda row: TrialId(row.trial_id))
    return {trial_id: _collected(list(group)) for trial_id, group in by_trial}


def layout_id(conn: Connection, layout: Layout) -> int:
    """The layout's row, written at its first use. Looked up each time: an id that was remembered could belong to a
    transaction that was rolled back, and the look costs little beside a batch of frames.
    """
    wanted = select(layouts.c.id).where(layouts.c.digest == layout.digest())
    found = conn.execute(wanted).scalar_one_or_none()
    if found is None:
        row = {"digest": layout.digest(), "series": list(layout.series)}
        conn.execute(insert(layouts).values(row).on_conflict_do_nothing())
        found = conn.execute(wanted).scalar_one()
    return int(found)


def _stream(number: int, layout: Layout, frames: Sequence[Frame]) -> bytes:
    values = np.stack([frame.values for frame in frames])
    assert values.shape[1] == len(layout.series) > 0, "a frame has one value for each series of its layout"

    def column(numbers: Iterable[float]) -> NDArray[Any]:
        return np.array(list(numbers))

    return encode(
        [
            (("trial_id", ">i8"), column(frame.trial_id for frame in frames)),
            (("attempt", ">i4"), column(frame.attempt for frame in frames)),
            (("step", ">i4"), column(frame.step for frame in frames)),
            (("time", ">f4"), column(frame.time for frame in frames)),
            (("layout_id", ">i4"), np.full(len(frames), number)),
        ],
        array=("values", values),
    )


def _copy(conn: Connection, statement: str, stream: bytes) -> None:
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(stream)


def _collected(rows: Sequence[Row[Any]]) -> TrialFrames:
    first = rows[0]
    return TrialFrames(
        trial_id=TrialId(first.trial_id),
        attempt=first.attempt,
        layout=Layout(series=tuple(first.series)),
        steps=np.array([row.step for row in rows], dtype=np.int64),
        times=np.array([row.time for row in rows], dtype=np.float32),
        values=np.array([row.values for row in rows], dtype=np.float32),
    )
