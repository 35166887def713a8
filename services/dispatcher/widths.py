"""How wide the next pack is: what measured packs of its key and device say, and what the end of a study asks for."""

import math
from datetime import datetime

from sqlalchemy import Connection

from db import queue, widths
from workers.packing import first_width, most_lanes, next_width

WORTHWHILE_LANES = 8
"""Packs are not made narrower than this for the sake of slots that are busy."""


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
    """How many of the jobs that are due a slot takes: an equal part for every slot, idle or not, so that all come to
    their end together; but no crumbs: a pack of few lanes takes nearly as long as one of WORTHWHILE_LANES.
    """
    return max(math.ceil(due / slots), min(WORTHWHILE_LANES, math.ceil(due / idle)))
