"""Studies: written whole, once, and found again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select

from actinium.errors import Conflict, InvalidInput, NotFound
from actinium.job import JobState, StudyId, StudyState, TrialId
from actinium.study import Design
from db import models, outbox, studies

Make = Callable[..., Design]


def test_a_study_is_read_back_as_it_was_written(connection: Connection, design: Make, now: datetime) -> None:
    written = design(
        name="depth",
        description="why",
        tags={"paper": "he2015"},
        factors={
            "training.batch_size": [8, 2],
            "activation": ["relu", {"name": "leaky_relu", "negative_slope": 0.2}],
            "normalization": ["none", "instance"],
        },
        seeds=[7, 3],
        priority=4,
    )
    study_id = studies.create(connection, written, owner="ada", now=now)
    row = studies.get(connection, study_id)

    assert row.spec == written.spec
    assert list(row.spec.factors) == ["training.batch_size", "activation", "normalization"]
    assert (row.owner, row.name, row.project, row.priority, row.tags) == (
        "ada",
        "depth",
        "default",
        4,
        {"paper": "he2015"},
    )
    assert (row.state, row.revision, row.created_at) == (StudyState.QUEUED, 0, now)
    assert (row.cells, row.trials, row.counts.states[JobState.QUEUED], row.progress) == (4, 8, 8, 0.0)
    assert set(row.counts.states) == set(JobState)
    assert tuple(row.invalid_designs) == written.invalid
    assert tuple(studies.cells(connection, study_id)) == written.cells

    trials = studies.trials_page(connection, study_id).items
    assert [(t.cell_index, t.seed, t.digest) for t in trials] == [
        (cell.index, config.seed, config.digest()) for cell, config in written.trials()
    ]
    assert studies.trial_config(connection, trials[-1].id) == list(written.trials())[-1][1]
    assert list(trials[0].cell) == list(written.cells[0].cell)
    assert {job.pack_key for job in connection.execute(select(models.jobs))} == {
        cell.config.pack_key() for cell in written.cells
    }


def test_a_name_is_taken_once_in_a_project(connection: Connection, design: Make, now: datetime) -> None:
    first = studies.create(connection, design(name="a"), owner="ada", now=now)
    with pytest.raises(
        Conflict, match=rf"project 'default' has a study 'a' already \(id {first}\); choose another"
    ) as raised:
        studies.create(connection, design(name="a", seeds=3), owner="bob", now=now)
    assert raised.value.ids == (first,)
    other = studies.create(connection, design(name="a", project="other"), owner="ada", now=now)
    with pytest.raises(Conflict, match=f"give one of the ids {first}, {other}"):
        studies.find(connection, "a")
    assert studies.find(connection, str(other)) == other
    assert connection.execute(select(func.count()).select_from(models.jobs)).scalar_one() == 8


def test_an_idempotency_key_makes_one_study(connection: Connection, design: Make, now: datetime) -> None:
    first = studies.create(connection, design(), owner="ada", now=now, idempotency_key="k")
    later = now + timedelta(days=1)
    assert studies.create(connection, design(), owner="ada", now=later, idempotency_key="k") == first
    with pytest.raises(Conflict, match=rf"was used for another document \(study {first}\); use a new key"):
        studies.create(connection, design(name="other"), owner="ada", now=now, idempotency_key="k")
    with pytest.raises(Conflict, match="choose another name"):
        studies.create(connection, design(), owner="ada", now=now, idempotency_key="another")
    # Another owner's key is another key.
    assert studies.create(connection, design(name="bobs"), owner="bob", now=now, idempotency_key="k") != first
    assert connection.execute(select(func.count()).select_from(models.studies)).scalar_one() == 2


def test_simultaneous_requests_with_one_key_make_one_study(engine: Engine, design: Make, now: datetime) -> None:
    def submit(_: int) -> StudyId:
        with engine.begin() as connection:
            return studies.create(connection, design(), owner="ada", now=now, idempotency_key="k")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(submit, range(8)))) == 1
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(models.trials)).scalar_one() == 4


@pytest.mark.parametrize("reference", ["nothing", "999", "9" * 30, "nul\0", "²", "half \ud800", ""])
def test_what_is_not_there_is_not_found(connection: Connection, reference: str) -> None:
    with pytest.raises(NotFound, match="actinium ls"):
        studies.find(connection, reference)


def test_ids_that_cannot_be_are_not_found(connection: Connection, now: datetime) -> None:
    for wrong in (0, -1, 5, 2**63, 10**40):
        with pytest.raises(NotFound):
            studies.trial(connection, TrialId(wrong))
        with pytest.raises(NotFound):
            studies.get(connection, StudyId(wrong))
        with pytest.raises(NotFound):
            studies.retry(connection, StudyId(wrong), now)
        with pytest.raises(NotFound):
            studies.cancel(connection, StudyId(wrong), now)


@pytest.mark.parametrize("fields", [{"description": "a\0b"}, {"tags": {"a\0": "b"}}])
def test_text_that_postgresql_cannot_hold_is_refused(
    connection: Connection, design: Make, now: datetime, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored") as raised:
        studies.create(connection, design(**fields), owner="ada", now=now)
    assert raised.value.errors[0].path.startswith(next(iter(fields)))
    assert connection.execute(select(func.count()).select_from(models.studies)).scalar_one() == 0


def test_pages_are_newest_first_and_filtered(connection: Connection, design: Make, now: datetime) -> None:
    made = [
        studies.create(
            connection,
            design(name=f"study {n}", project="even" if n % 2 == 0 else "odd", tags={"n": str(n)}, description="100%"),
            owner="ada" if n < 3 else "bob",
            now=now,
        )
        for n in range(5)
    ]
    studies.cancel(connection, made[1], now)

    def ids(**filters: Any) -> list[StudyId]:
        return [row.id for row in studies.page(connection, **filters).items]

    assert ids() == made[::-1]
    assert ids(owner="bob") == [made[4], made[3]]
    assert ids(project="odd") == [made[3], made[1]]
    assert ids(state=StudyState.CANCELLED) == [made[1]]
    assert ids(state=StudyState.QUEUED, project="odd") == [made[3]]
    assert ids(tag="n=2") == [made[2]]
    assert len(ids(tag="n")) == 5
    assert ids(tag="m") == []
    assert ids(q="STUDY 4") == [made[4]]
    assert len(ids(q="0%")) == 5
    assert ids(q="0_") == []
    first = studies.page(connection, limit=2)
    second = studies.page(connection, limit=2, cursor=first.next_cursor)
    third = studies.page(connection, limit=2, cursor=second.next_cursor)
    assert [row.id for page in (first, second, third) for row in page.items] == made[::-1]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1e3", "9" * 25, "", "²"])
def test_a_cursor_that_no_page_gave_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="next_cursor"):
        studies.page(connection, cursor=cursor)


def test_a_patch_changes_document_columns_and_revision(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    outbox.pending(connection, now=now, limit=10)
    row = studies.patch(connection, study_id, now=now, name="renamed", tags={"a": "b"}, notes="n", priority=7)
    assert (row.name, row.tags, row.notes, row.priority, row.revision) == ("renamed", {"a": "b"}, "n", 7, 1)
    assert row.spec.name == "renamed"
    assert studies.find(connection, "renamed") == study_id
    news = outbox.pending(connection, now=now + timedelta(hours=1), limit=10)
    assert [(item.study_id, item.version) for item in news] == [(study_id, 2)]

    unchanged = studies.patch(connection, study_id, now=now, description="only this")
    assert (unchanged.name, unchanged.notes, unchanged.spec.description) == ("renamed", "n", "only this")


def test_a_patch_that_is_not_accepted_changes_nothing(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    studies.create(connection, design(name="taken"), owner="ada", now=now)
    with pytest.raises(Conflict, match="'taken' already"):
        studies.patch(connection, study_id, now=now, name="taken")
    for wrong in ({"name": "12"}, {"priority": 101}, {"notes": "a\0"}, {"description": "a\0"}):
        with pytest.raises(InvalidInput):
            studies.patch(connection, study_id, now=now, **wrong)
    row = studies.get(connection, study_id)
    assert (row.name, row.revision, row.notes) == ("small", 0, "")


def test_trials_are_paged_and_filtered(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(seeds=3), owner="ada", now=now)
    studies.create(connection, design(name="other"), owner="ada", now=now)
    first = studies.trials_page(connection, study_id, limit=4)
    second = studies.trials_page(connection, study_id, limit=4, cursor=first.next_cursor)
    assert [t.seed for t in [*first.items, *second.items]] == [0, 0, 1, 1, 2, 2]
    assert second.next_cursor is None
    assert len(studies.trials_page(connection, study_id, state=JobState.QUEUED).items) == 6
    assert studies.trials_page(connection, study_id, state=JobState.FAILED).items == []


def test_a_list_does_not_read_the_documents(connection: Connection, design: Make, now: datetime) -> None:
    """A page of a thousand studies would otherwise be a gigabyte."""
    study = studies.create(connection, design(tags={"paper": "he2015"}, description="long"), owner="ada", now=now)
    listed = str(studies._selected())
    assert not {"studies.invalid_designs", "studies.spec,", "studies.notes"} & set(listed.replace("\n", " ").split(" "))
    (head,) = studies.page(connection).items
    whole = studies.get(connection, study)
    assert (head.description, head.tags, head.project) == ("long", {"paper": "he2015"}, "default")
    assert {name: getattr(whole, name) for name in vars(head)} == vars(head)
