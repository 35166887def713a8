"""Where checkpoints lie, and when they are made."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actinium.errors import CheckpointUnusable, InvalidInput
from services.settings import Settings
from workers.checkpoints.keeper import MOST_SHARE, StoreKeeper
from workers.checkpoints.state import PackState, decoded, encoded
from workers.checkpoints.store import CheckpointStore

NOTHING = PackState(digests=(), step=3, steps=(0,), times=(0.5,), elapsed=1.0, prepared=(), arrays={})
numbers = itertools.count()


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CheckpointStore]:
    """An empty one, on disk and at an address of fsspec's."""
    address = str(tmp_path / "not yet there") if request.param == "folder" else f"memory://checkpoints-{next(numbers)}"
    made = CheckpointStore(address)
    yield made
    made.remove(made.names())


def test_what_is_saved_can_be_loaded_and_removed(store: CheckpointStore) -> None:
    assert store.names() == frozenset()
    first, second = store.save(b"one"), store.save(b"two")
    assert store.load(first) == b"one" and store.load(second) == b"two"
    assert store.names() == {first, second}
    assert store.save(b"one") == first
    store.remove([first, first])
    assert store.names() == {second}
    with pytest.raises(FileNotFoundError):
        store.load(first)


def test_torn_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path))
    name = store.save(b"x" * 1000)
    (tmp_path / name).write_bytes(b"x" * 999)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointUnusable, match="torn"):
        store.load(name)
    assert store.names() == {name}, "torn ones can be swept, what is not ours cannot"
    for foreign in ("notes.txt", f"../{name}", "/etc/passwd"):
        with pytest.raises(CheckpointUnusable, match="no name"):
            store.load(foreign)
        with pytest.raises(CheckpointUnusable, match="no name"):
            store.remove([foreign])
    assert (tmp_path / "notes.txt").exists()


def test_an_unknown_address_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidInput, match="ACTINIUM_CHECKPOINTS: 'nowhere://x' is not accepted"):
        CheckpointStore("nowhere://x")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_checkpoint_is_due_after_its_time_and_at_a_stop(tmp_path: Path) -> None:
    clock, stop = Clock(), [False]
    keeper = StoreKeeper(CheckpointStore(str(tmp_path)), seconds=60.0, clock=clock, stopped=lambda: stop[0])
    assert not keeper.due()
    clock.now = 160.0
    assert keeper.due() and not keeper.stopping()
    name = keeper.keep(NOTHING)
    assert decoded((tmp_path / name).read_bytes()) == NOTHING
    assert not keeper.due()
    stop[0] = True
    assert keeper.due() and keeper.stopping()


@pytest.mark.parametrize("full", [False, True])
def test_slow_checkpoints_are_rarer_also_in_vain(tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    store = CheckpointStore(str(tmp_path))
    keeper = StoreKeeper(store, seconds=1.0, clock=clock, stopped=lambda: False)

    def slow(content: bytes) -> str:
        clock.now += 10.0
        if full:
            raise OSError(28, "No space left on device")
        return "a name"

    monkeypatch.setattr(store, "save", slow)
    if full:
        with pytest.raises(OSError, match="No space"):
            keeper.keep(NOTHING)
    else:
        keeper.keep(NOTHING)
    clock.now += 10.0 / MOST_SHARE - 0.1
    assert not keeper.due()
    clock.now += 0.1
    assert keeper.due()


@pytest.mark.parametrize(
    ("given", "address"),
    [({}, "/somewhere/checkpoints"), ({"checkpoints": "/else"}, "/else"), ({"checkpoints": "s3://a/b"}, "s3://a/b")],
)
def test_the_address_is_one_for_every_process(given: dict[str, Any], address: str) -> None:
    assert Settings(home=Path("/somewhere"), **given).checkpoint_address() == address


def test_equal_states_have_equal_names() -> None:
    """So that what is written twice is there once."""
    assert encoded(NOTHING) == encoded(NOTHING)
