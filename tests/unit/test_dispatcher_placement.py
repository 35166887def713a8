"""Slots go one to a core, or one to a GPU, and a limit is shared by the nodes."""

from typing import Any

import pytest

from services.dispatcher.placement import NodeSlots, places, shared


def node(name: str, *, cpus: float = 0, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    """As ray.nodes() tells of it."""
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


def test_a_core_or_a_gpu_is_a_slot() -> None:
    found = places([node("a", cpus=2), node("b", cpus=16, gpus=4), node("c", cpus=1, gpus=4)])
    assert found == [
        NodeSlots(node="a", device="cpu", slots=2),
        NodeSlots(node="b", device="cuda", slots=4),
        NodeSlots(node="c", device="cuda", slots=1),
    ]


def test_dead_nodes_and_heads_without_cores_have_none() -> None:
    assert places([node("a", cpus=4, alive=False), node("head")]) == []


def test_a_limit_is_shared() -> None:
    found = places([node("a", cpus=4), node("b", cpus=1), node("c", cpus=4)], most=6)
    assert [place.slots for place in found] == [3, 1, 2]
    assert places([node("a", cpus=4)], most=0) == []


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_dispatchers_have_all_slots_among_them_and_each_its_part(of: int) -> None:
    found = places([node("c", cpus=3), node("a", cpus=2), node("b", cpus=16, gpus=1)])
    parts = [shared(found, turn=turn, of=of) for turn in range(of)]
    counts = [sum(place.slots for place in part) for part in parts]
    assert sum(counts) == 6 and max(counts) - min(counts) <= 1
    for place in found:
        assert sum(mine.slots for part in parts for mine in part if mine.node == place.node) == place.slots
