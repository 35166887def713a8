"""Frames in and out of PostgreSQL, bit by bit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, func, select

from actinium.frame import Frame, Layout, TrialSummary
from actinium.job import Attempt, TrialId
from actinium.study import Design
from db import frames, models, queue, reports, studies
from db.binary_copy import psycopg_connection

Make = Callable[..., Design]
LAYOUT = Layout(series=("train_loss", "validation_loss", "dead_unit_rate/layer_01"))


def frame(trial_id: int, step: int, *values: float, attempt: int = 1, time: float = 0.5) -> Frame:
    return Frame(trial_id=trial_id, attempt=attempt, step=step, time=time, values=np.array(values, dtype=np.float32))


def leased(connection: Connection, design: Make, now: datetime, **arguments: int) -> list[Attempt]:
    studies.create(connection, design(), owner="ada", now=now)
    return list(queue.lease(connection, now=now, holder="d", lease_seconds=30, width=arguments.get("width", 8)))


def test_every_value_comes_back_as_it_was(connection: Connection, design: Make, now: datetime) -> None:
    one, *_ = leased(connection, design, now)
    written = np.random.default_rng(0).integers(0, 2**32, size=(40, 3), dtype=np.uint32).view(np.float32)
    written[:2] = [[np.nan, np.inf, -np.inf], [-0.0, 1e-45, 3.4028235e38]]
    given = [frame(one.trial_id, 7 * i, *row, time=i / 3) for i, row in enumerate(written)]
    assert frames.write(connection, LAYOUT, given[::-1]) == 40
    found = frames.read(connection, one.trial_id)
    assert (found.trial_id, found.attempt, found.layout) == (one.trial_id, 1, LAYOUT)
    np.testing.assert_array_equal(found.steps, 7 * np.arange(40))
    np.testing.assert_array_equal(found.times, (np.arange(40) / 3).astype(np.float32))
    finite = ~np.isnan(written)
    np.testing.assert_array_equal(found.values.view(np.uint32)[finite], written.view(np.uint32)[finite])
    np.testing.assert_array_equal(np.isnan(found.values), ~finite)


def test_the_copy_is_the_one_that_the_driver_writes(connection: Connection, design: Make, now: datetime) -> None:
    """Our stream and psycopg's own, row by row, make the same table."""
    one, *_ = leased(connection, design, now)
    given = [frame(one.trial_id, step, step, np.nan, -1.5, time=step / 8) for step in range(5)]
    frames.write(connection, LAYOUT, given)
    layout_id = connection.execute(select(models.layouts.c.id)).scalar_one()
    with psycopg_connection(connection).cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE theirs (LIKE frames)")
        with cursor.copy("COPY theirs FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "int4", "int4", "float4", "int4", "float4[]"])
            for one in given:
                copy.write_row((one.trial_id, one.attempt, one.step, one.time, layout_id, one.values.tolist()))
        cursor.execute("SELECT count(*) FROM (SELECT * FROM frames EXCEPT SELECT * FROM theirs) AS differing")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM theirs JOIN frames USING (trial_id, attempt, step)")
        assert cursor.fetchone() == (5,)


def test_a_trial_without_frames_has_none(connection: Connection) -> None:
    found = frames.read(connection, TrialId(1))
    assert (found.steps.shape, found.times.shape, found.values.shape) == ((0,), (0,), (0, 0))
    assert found.layout.series == ()
    assert frames.write(connection, LAYOUT, []) == 0


def test_frames_may_come_twice(connection: Connection, design: Make, now: datetime) -> None:
    """The answer to a commit was lost, and the dispatcher sends its buffer again with what came since."""
    one, *_ = leased(connection, design, now)
    frames.write(connection, LAYOUT, [frame(one.trial_id, 0, 1, 2, 3)])
    connection.commit()
    again = [frame(one.trial_id, 0, 9, 9, 9), frame(one.trial_id, 1, 4, 5, 6)]
    for _ in range(2):
        assert frames.write(connection, LAYOUT, again) == 2
        connection.commit()
    assert frames.read(connection, one.trial_id).values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_layout_is_written_once_even_after_a_rollback(engine: Engine, design: Make, now: datetime) -> None:
    with engine.connect() as connection:
        leased(connection, design, now)
        connection.commit()
        frames.write(connection, LAYOUT, [frame(1, 0, 1, 2, 3)])
        connection.rollback()
        frames.write(connection, LAYOUT, [frame(1, 0, 1, 2, 3)])
        frames.write(connection, Layout(series=("other",)), [frame(2, 0, 1)])
        connection.commit()
        assert connection.execute(select(func.count()).select_from(models.layouts)).scalar_one() == 2
        joined = (
            select(func.count())
            .select_from(models.frames)
            .join(models.layouts, models.layouts.c.id == models.frames.c.layout_id)
        )
        assert connection.execute(joined).scalar_one() == 2


def test_values_that_do_not_fit_the_layout_are_a_fault(connection: Connection, design: Make, now: datetime) -> None:
    leased(connection, design, now)
    with pytest.raises(AssertionError, match="one value for each series"):
        frames.write(connection, LAYOUT, [frame(1, 0, 1.0)])


def test_readers_see_the_attempt_that_counts(
    connection: Connection, design: Make, summary: Callable[..., TrialSummary], now: datetime
) -> None:
    zombie, *_ = leased(connection, design, now, width=1)
    frames.write(connection, LAYOUT, [frame(zombie.trial_id, step, 1, 1, 1) for step in (0, 1, 2)])
    queue.rescue(connection, now=now + timedelta(minutes=1))
    (second,) = queue.lease(connection, now=now + timedelta(minutes=2), holder="d", lease_seconds=30, width=1)
    assert second.trial_id == zombie.trial_id
    assert frames.read(connection, second.trial_id).steps.tolist() == []
    late = [frame(second.trial_id, 0, 2, 2, 2, attempt=2), frame(zombie.trial_id, 3, 1, 1, 1)]
    assert frames.write(connection, LAYOUT, late) == 1, "what a zombie writes is dropped"
    assert frames.read(connection, second.trial_id).values.tolist() == [[2, 2, 2]]
    assert reports.finished(connection, second.study_id).curves.empty

    assert queue.complete(connection, now=now, attempt=second, summary=summary())
    attempts = select(models.frames.c.attempt).distinct()
    assert connection.execute(attempts).scalars().all() == [2], "earlier attempts are gone"
    for late in (frame(zombie.trial_id, 4, 1, 1, 1), frame(second.trial_id, 1, 2, 2, 2, attempt=2)):
        assert frames.write(connection, LAYOUT, [late]) == 0, "and so is what comes after the end"
    assert connection.execute(attempts).scalars().all() == [2]
    assert frames.read(connection, second.trial_id).values.tolist() == [[2, 2, 2]]
    assert reports.finished(connection, second.study_id).curves["value"].tolist() == [2]


def test_frames_of_an_attempt_that_ends_meanwhile_are_before_its_end_or_dropped(
    engine: Engine, design: Make, now: datetime
) -> None:
    """The fence holds until the commit: whoever ends the attempt waits for the frames that are being written."""
    with engine.begin() as connection:
        (one, *_) = leased(connection, design, now)
    with engine.connect() as writing, engine.connect() as ending, ThreadPoolExecutor(1) as pool:
        assert frames.write(writing, LAYOUT, [frame(one.trial_id, 0, 1, 2, 3)]) == 1
        released = pool.submit(queue.release, ending, now=now, attempts=[one])
        with pytest.raises(TimeoutError):
            released.result(timeout=0.3)
        writing.commit()
        assert released.result() == {one.trial_id}
        ending.commit()
    with engine.begin() as connection:
        assert frames.write(connection, LAYOUT, [frame(one.trial_id, 1, 1, 2, 3)]) == 0
        assert connection.execute(select(models.frames.c.step)).scalars().all() == [0]


def test_frames_after_a_cursor_are_read_for_many_trials(connection: Connection, design: Make, now: datetime) -> None:
    leased(connection, design, now)
    for trial_id in (1, 2, 3):
        frames.write(connection, LAYOUT, [frame(trial_id, step, step, 0, 0) for step in range(5)])
    cursors = [
        frames.FramePosition(trial_id=TrialId(1), attempt=1, step=-1),
        frames.FramePosition(trial_id=TrialId(2), attempt=1, step=2),
        frames.FramePosition(trial_id=TrialId(3), attempt=2, step=-1),
    ]
    found = frames.after(connection, cursors, most=3)
    assert {trial_id: one.steps.tolist() for trial_id, one in found.items()} == {1: [0, 1, 2], 2: [3, 4]}
    assert found[TrialId(1)].layout == LAYOUT
