"""What packs cost by their width, as measured: how wide packs are, and why."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from db import widths
from services.api.access import Database
from services.api.documents import Answer

router = APIRouter(prefix="/v1", tags=["pack widths"])


class PackWidth(Answer):
    """A width of a pack key on a device. `seconds_per_lane_step` is the median of the latest `packs`; null: of none."""

    pack_key: str
    device: str
    width: int
    packs: int
    seconds_per_lane_step: float | None
    measured_at: datetime
    out_of_memory_at: datetime | None


class PackWidths(Answer):
    """The widths that were measured last, newest first."""

    items: list[PackWidth]


@router.get("/pack-widths")
def pack_widths(engine: Database, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> PackWidths:
    """How long a training step takes per lane, by pack key, device and the pack's width."""
    with engine.begin() as connection:
        found = widths.latest(connection, most=limit)
    return PackWidths(items=[PackWidth.model_validate(row) for row in found])
