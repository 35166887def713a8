"""A dispatcher whose own Ray node dies ends, with its leases given back, so that whoever supervises starts it anew."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event

import psutil
import pytest
from sqlalchemy import Engine, text

from actinium.job import FailureClass
from actinium.study import expand, parse_study
from db import studies
from services.dispatcher.fleet import FleetLost, News, PackBroken, SlotId
from services.dispatcher.placement import NodeSlots
from services.dispatcher.ray_connection import own_node_lost
from services.dispatcher.ray_fleet import GONE_SECONDS, RayFleet, Slot
from services.stack.ports import any_free

LONG = {
    "name": "long",
    "model": {"kind": "mlp", "depth": 1, "width": 4},
    "training": {"epochs": 100_000, "batch_size": 64},
    "probes": {"schedule": {"points": 4}},
}
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats", "--object-store-memory=80000000"]


@pytest.fixture
def own_cluster() -> Iterator[tuple[str, Path, dict[str, str]]]:
    """A head without slots, on which a dispatcher stands, and a node with one: as in docker-compose.yml. Its address,
    its folder, and what its processes are told.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ACTINIUM_", "RAY_"))},
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",  # Ray's leave for two nodes on one machine
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        address = f"127.0.0.1:{any_free()}"
        head = ["--head", f"--port={address.rpartition(':')[2]}", "--num-cpus=0", f"--temp-dir={folder}"]
        try:
            for options in ([*head, "--node-ip-address=127.0.0.1", "--include-dashboard=false"], ["--num-cpus=1"]):
                joined = options if "--head" in options else [f"--address={address}", *options]
                subprocess.run([*RAY, *joined], env=environment, check=True, capture_output=True, timeout=120)
            yield address, Path(folder), environment
        finally:
            for process in of_cluster(folder):
                process.kill()


def of_cluster(folder: str | Path) -> list[psutil.Process]:
    """The processes of a Ray that has its files in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


def until(done: Callable[[], bool], *, seconds: float = 120.0) -> None:
    """Wait for it."""
    for _ in range(int(5 * seconds)):
        if done():
            return
        Event().wait(0.2)
    raise AssertionError("it does not come to that")


def test_a_dispatcher_whose_raylet_is_killed_ends_within_a_minute(
    own_cluster: tuple[str, Path, dict[str, str]], engine: Engine, database_url: str, tmp_path: Path, now: datetime
) -> None:
    """The head goes on without that node, and so nothing else would tell it: it would never work again."""
    address, folder, environment = own_cluster
    with engine.begin() as conn:
        studies.create(conn, expand(parse_study(LONG)), owner="ann", now=now)

    def states() -> list[str]:
        with engine.begin() as conn:
            return list(conn.execute(text("SELECT DISTINCT state FROM jobs")).scalars())

    pulse = tmp_path / "dispatcher.ready"
    told = {
        "ACTINIUM_HOME": str(tmp_path),
        "ACTINIUM_DATABASE_URL": database_url,
        "ACTINIUM_RAY_ADDRESS": address,
        "ACTINIUM_READY_FILE": str(pulse),
    }
    with (tmp_path / "log").open("wb") as log:
        dispatcher = subprocess.Popen(
            [sys.executable, "-m", "services.dispatcher"], env=environment | told, stdout=log, stderr=log
        )
    try:
        until(lambda: states() == ["leased"] and pulse.exists())
        raylets = [one for one in of_cluster(folder) if one.name() == "raylet"]
        heads = [one for one in raylets if any("--head" in word for word in one.cmdline())]
        assert len(raylets) == 2 and len(heads) == 1
        heads[0].send_signal(signal.SIGKILL)
        assert dispatcher.wait(60) == 1, (tmp_path / "log").read_text()
        assert "own Ray node" in (tmp_path / "log").read_text()
        assert states() == ["queued"], "its leases are given back"
    finally:
        dispatcher.kill()
        dispatcher.wait()


@pytest.mark.parametrize("alive", [True, False])
def test_a_node_that_the_cluster_has_given_up_is_lost_too(
    alive: bool, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a cut of the network the raylet may live on for a while, and the head knows it no more."""
    fleet = RayFleet(data_root=None, own_node_lost=partial(own_node_lost, "mine"))
    mine = {"NodeID": "mine", "Alive": alive, "NodeManagerAddress": "127.0.0.1", "NodeManagerPort": 1}
    monkeypatch.setattr("services.dispatcher.ray_fleet.ray.nodes", lambda: [{"NodeID": "other", "Alive": True}, mine])
    with pytest.raises(FleetLost, match="raylet" if alive else "for dead"):
        fleet.tend(now=now)


def test_a_pack_whose_node_is_gone_is_lost_also_when_ray_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatcher.ray_fleet.ray.kill", lambda actor: None)
    fleet, moment = RayFleet(data_root=None), datetime.now(UTC)
    place = NodeSlots(node="gone", device="cpu", slots=1)
    fleet._slots[SlotId(7)] = Slot(place=place, actor=None, stream=object())
    fleet._give_up(now=moment)
    fleet._give_up(now=moment + timedelta(seconds=GONE_SECONDS - 1))
    assert SlotId(7) in fleet._slots
    fleet._give_up(now=moment + timedelta(seconds=GONE_SECONDS))
    (news,) = fleet.news(seconds=0.0)
    assert isinstance(news, News) and isinstance(news.item, PackBroken) and news.slot == 7
    assert news.item.failure_class is FailureClass.INFRASTRUCTURE and not fleet._slots
