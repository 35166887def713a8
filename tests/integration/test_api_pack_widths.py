"""What packs cost by their width, as the API, the client and `status` tell it."""

from datetime import datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import Engine

from actinium.client import Client
from actinium.home import ClientFile
from actinium.job import Role
from db import widths
from services.stack.status import measured_widths, widths_table


def test_widths_are_listed_and_shown(
    engine: Engine, viewer: httpx.Client, client: Client, secrets: dict[Role, str], tmp_path: Path, now: datetime
) -> None:
    with engine.begin() as conn:
        for minute, (width, seconds) in enumerate([(16, 150e-6), (8, 200e-6), (8, 210e-6), (8, 900e-6)]):
            at = now + timedelta(minutes=minute)
            widths.measured(conn, pack_key="mlp-digits-b64-1", device="cpu", width=width, seconds=seconds, now=at)
        widths.out_of_memory(conn, pack_key="mlp-digits-b64-1", device="cpu", width=32, now=now - timedelta(minutes=1))
    items = viewer.get("/v1/pack-widths").json()["items"]
    assert [(item["width"], item["packs"]) for item in items] == [(8, 3), (16, 1), (32, 0)]
    assert items[2]["seconds_per_lane_step"] is None and items[2]["out_of_memory_at"] is not None
    assert client.pack_widths(limit=1) == items[:1]
    assert viewer.get("/v1/pack-widths", params={"limit": 0}).status_code == 422

    ClientFile(url=client.url, token=secrets[Role.ADMIN]).write(tmp_path)
    assert measured_widths(tmp_path) == items
    assert widths_table(items).splitlines() == [
        "PACK              DEVICE  MICROSECONDS OF A STEP PER LANE, BY LANES",
        "mlp-digits-b64-1  cpu     8: 210  16: 150  32: no memory",
    ]


def test_a_stack_without_an_answer_has_no_widths_to_show(tmp_path: Path) -> None:
    assert measured_widths(tmp_path) == []
    ClientFile(url="http://127.0.0.1:1", token="none").write(tmp_path)
    assert measured_widths(tmp_path) == []
