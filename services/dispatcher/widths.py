"""How wide the next pack is: by the measured packs of its key and device, and narrower when few jobs are left."""

import math
from datetime import datetime

from sqlalchemy import Connection

from db import queue, widths
from workers.packing import first_width, most_lanes, next_width

WORTHWHILE_LANES = 8
"""Sharing out the last jobs of a study does not make packs narrower than this."""


def planned_width(conn: Connection, lead: queue.Lead, device: str, now: datetime) -> int:
    """The width that pays most, or one to be tried, by the packs of this key that the device has trained."""
    known = widths.of_key(conn, pack_key=lead.pack_key, device=device, now=now)
    most = most_lanes(lead.config, device)
    if known.too_wide is not None:
        most = max(1, min(most, known.too_wide - 1))
    if lead.resumes:  # all that is left of a pack that was measured to be no wider than is good
        return most
    return next_width(known.seconds, first=first_width(lead.config, device), most=most)


def fair_share(due: int, *, slots: int, idle: int) -> int:
    """How many of the due jobs one slot takes: an equal share for every slot, idle or not, so that all end at about the
    same time; but at least WORTHWHILE_LANES while idle slots can have that, because a narrower pack takes as long.
    """
    return max(math.ceil(due / slots), min(WORTHWHILE_LANES, math.ceil(due / idle)))
