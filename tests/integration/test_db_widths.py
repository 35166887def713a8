"""What packs cost by their width is remembered: the latest times, and where memory was lacking."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from db import widths
from db.widths import KEPT, MEMORY_FORGIVEN


def test_the_latest_times_of_a_width_are_kept_oldest_first(connection: Connection, now: datetime) -> None:
    for number in range(KEPT + 2):
        widths.measured(connection, pack_key="a", device="cpu", width=8, seconds=float(number), now=now)
    found = widths.of_key(connection, pack_key="a", device="cpu", now=now)
    assert found.seconds == {8: (2.0, 3.0, 4.0, 5.0, 6.0)}
    assert found.too_wide is None


def test_keys_and_devices_are_apart(connection: Connection, now: datetime) -> None:
    widths.measured(connection, pack_key="a", device="cpu", width=8, seconds=1.0, now=now)
    widths.out_of_memory(connection, pack_key="a", device="NVIDIA H200", width=8, now=now)
    assert widths.of_key(connection, pack_key="b", device="cpu", now=now).seconds == {}
    other = widths.of_key(connection, pack_key="a", device="NVIDIA H200", now=now)
    assert (other.seconds, other.too_wide) == ({8: ()}, 8)


def test_lack_of_memory_is_remembered_for_a_day(connection: Connection, now: datetime) -> None:
    for width in (32, 24):
        widths.out_of_memory(connection, pack_key="a", device="cpu", width=width, now=now)
    assert widths.of_key(connection, pack_key="a", device="cpu", now=now + timedelta(hours=23)).too_wide == 24
    assert widths.of_key(connection, pack_key="a", device="cpu", now=now + MEMORY_FORGIVEN).too_wide is None


def test_the_newest_are_listed_first_with_their_medians(connection: Connection, now: datetime) -> None:
    for minute, (width, seconds) in enumerate([(8, 1.0), (8, 9.0), (8, 2.0), (16, 4.0)]):
        at = now + timedelta(minutes=minute)
        widths.measured(connection, pack_key="a", device="cpu", width=width, seconds=seconds, now=at)
    widths.out_of_memory(connection, pack_key="a", device="cpu", width=32, now=now)
    listed = widths.latest(connection, most=2)
    assert [(row.width, row.packs, row.seconds_per_lane_step) for row in listed] == [(16, 1, 4.0), (8, 3, 2.0)]
    last = widths.latest(connection, most=9)[-1]
    assert (last.width, last.packs, last.seconds_per_lane_step, last.out_of_memory_at) == (32, 0, None, now)
