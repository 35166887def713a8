"""Measured times of packs by width, for every pack key and device."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from db.models import pack_widths
from db.statements import statement

KEPT = 5
"""How many of the latest times of a width are kept; their median counts."""
MEMORY_FORGIVEN = timedelta(days=1)
"""A width that ran out of memory may be tried again after so long: another process may have used the memory."""


@dataclass(frozen=True, kw_only=True)
class MeasuredTimes:
    """Of one pack key on one device: by width, seconds per lane and step of the latest packs, oldest first; and the
    smallest width that ran out of memory lately.
    """

    seconds: Mapping[int, Sequence[float]]
    too_wide: int | None


@dataclass(frozen=True, kw_only=True)
class MeasuredWidth:
    """One width of a pack key on a device. `seconds_per_lane_step`: the median of `packs`, None of none."""

    pack_key: str
    device: str
    width: int
    packs: int
    seconds_per_lane_step: float | None
    measured_at: datetime
    out_of_memory_at: datetime | None


def measured(conn: Connection, *, pack_key: str, device: str, width: int, seconds: float, now: datetime) -> None:
    """A pack took so many seconds per lane and step."""
    parameters = {"pack_key": pack_key, "device": device, "width": width, "seconds": seconds, "now": now, "most": KEPT}
    conn.execute(statement("width_measured"), parameters)


def out_of_memory(conn: Connection, *, pack_key: str, device: str, width: int, now: datetime) -> None:
    """A pack of so many lanes found no memory."""
    parameters = {"pack_key": pack_key, "device": device, "width": width, "now": now}
    conn.execute(statement("width_out_of_memory"), parameters)


def of_key(conn: Connection, *, pack_key: str, device: str, now: datetime) -> MeasuredTimes:
    """What is known of a pack key on a device: a row a width, by the primary key."""
    known = conn.execute(
        select(pack_widths.c.width, pack_widths.c.seconds_per_lane_step, pack_widths.c.out_of_memory_at).where(
            pack_widths.c.pack_key == pack_key, pack_widths.c.device == device
        )
    ).all()
    lacking = [row.width for row in known if row.out_of_memory_at and row.out_of_memory_at > now - MEMORY_FORGIVEN]
    return MeasuredTimes(
        seconds={row.width: tuple(row.seconds_per_lane_step) for row in known},
        too_wide=min(lacking, default=None),
    )


def latest(conn: Connection, *, most: int) -> list[MeasuredWidth]:
    """The widths that were measured last, newest first."""
    found = conn.execute(
        select(pack_widths).order_by(pack_widths.c.measured_at.desc(), *pack_widths.primary_key).limit(most)
    )
    return [
        MeasuredWidth(
            pack_key=row.pack_key,
            device=row.device,
            width=row.width,
            packs=len(row.seconds_per_lane_step),
            seconds_per_lane_step=statistics.median(row.seconds_per_lane_step) if row.seconds_per_lane_step else None,
            measured_at=row.measured_at,
            out_of_memory_at=row.out_of_memory_at,
        )
        for row in found
    ]
