"""How many slots each node of the cluster should have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node, what its slots compute on, and how many there should be."""

    node: str
    device: str
    slots: int


def places(nodes: Sequence[Mapping[str, Any]], *, most: int | None = None) -> list[Place]:
    """One slot a GPU on nodes that have any, else one a CPU core; at most `most` in all.

    `nodes` as `ray.nodes()` gives them; dead ones are left out. Nodes take turns, so that a limit spreads over them.
    """
    wanted = []
    for node in nodes:
        resources = node.get("Resources", {})
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        if node.get("Alive") and (slots := min(gpus, cpus) if gpus else cpus) > 0:
            wanted.append(Place(node=node["NodeID"], device="cuda" if gpus else "cpu", slots=slots))
    wanted.sort(key=lambda place: place.node)  # the same for every dispatcher
    if most is None:
        return wanted
    granted = dict.fromkeys((place.node for place in wanted), 0)
    while sum(granted.values()) < most and any(granted[place.node] < place.slots for place in wanted):
        for place in wanted:
            if granted[place.node] < place.slots and sum(granted.values()) < most:
                granted[place.node] += 1
    return [Place(node=p.node, device=p.device, slots=granted[p.node]) for p in wanted if granted[p.node]]


def shared(found: Sequence[Place], *, turn: int, of: int) -> list[Place]:
    """The places of the dispatcher number `turn` of `of`: slots are dealt out one by one, node after node, so that
    nobody has two more than another. Where there are fewer slots than dispatchers, some have none.
    """
    mine, dealt = [], 0
    for place in found:
        slots = sum((dealt + number) % of == turn for number in range(place.slots))
        dealt += place.slots
        if slots:
            mine.append(Place(node=place.node, device=place.device, slots=slots))
    return mine
