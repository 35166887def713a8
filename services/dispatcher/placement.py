"""How many slots each node of the cluster should have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class NodeSlots:
    """A node, the device its slots compute on (`cpu`, `cuda`), and how many slots there should be."""

    node: str
    device: str
    slots: int


def places(nodes: Sequence[Mapping[str, Any]], *, most: int | None = None) -> list[NodeSlots]:
    """One slot for each GPU on nodes that have GPUs, else one for each CPU core; at most `most` in all.

    `nodes` as `ray.nodes()` gives them; dead ones are left out. With a limit, nodes get slots in turn.
    """
    wanted = []
    for node in nodes:
        resources = node.get("Resources", {})
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        if node.get("Alive") and (slots := min(gpus, cpus) if gpus else cpus) > 0:
            wanted.append(NodeSlots(node=node["NodeID"], device="cuda" if gpus else "cpu", slots=slots))
    wanted.sort(key=lambda place: place.node)  # the same for every dispatcher
    if most is None:
        return wanted
    granted = dict.fromkeys((place.node for place in wanted), 0)
    while sum(granted.values()) < most and any(granted[place.node] < place.slots for place in wanted):
        for place in wanted:
            if granted[place.node] < place.slots and sum(granted.values()) < most:
                granted[place.node] += 1
    return [NodeSlots(node=p.node, device=p.device, slots=granted[p.node]) for p in wanted if granted[p.node]]


def shared(found: Sequence[NodeSlots], *, turn: int, of: int) -> list[NodeSlots]:
    """The slots of dispatcher number `turn` of `of`. Slots are dealt one by one, node after node, so that no dispatcher
    has two more than another; where there are fewer slots than dispatchers, some have none.
    """
    mine, dealt = [], 0
    for place in found:
        slots = sum((dealt + number) % of == turn for number in range(place.slots))
        dealt += place.slots
        if slots:
            mine.append(NodeSlots(node=place.node, device=place.device, slots=slots))
    return mine
