"""Connecting to a Ray cluster."""

import os
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ray

from services.dispatcher.fleet import FleetLost
from services.dispatcher.ray_fleet import RayFleet

PROBE_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def split(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; the scheme `ray://` is for Ray's client protocol, which is not used here."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or "://" in address:
        raise FleetLost(f"ACTINIUM_RAY_ADDRESS: {address!r} is not accepted; give host:port of the cluster's head")
    return host, int(port)


def answers(address: str) -> bool:
    """Whether something listens at the address, asked with a short timeout: `ray.init` would wait for minutes."""
    try:
        with socket.create_connection(split(address), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def refused(host: str, port: int) -> bool:
    """Whether certainly nobody listens there. A machine that does not answer in time may only be busy."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def own_node_lost(own: str, nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """Why the node `own`, on which this process stands, is lost; None while it lives. The head goes on without it, and
    counts the actors of this process as gone; a new process joins by a new node. Ray notices a dead raylet after half
    a minute; that its port is closed shows at once.
    """
    for node in nodes:
        if node["NodeID"] == own and node.get("Alive"):
            closed = refused(node["NodeManagerAddress"], node["NodeManagerPort"])
            return "the raylet of this dispatcher's own Ray node has ended" if closed else None
    return "the cluster has taken this dispatcher's own Ray node for dead"


def connect(
    address: str,
    *,
    data_root: str | None,
    checkpoints: str | None,
    checkpoint_seconds: float,
    silence_seconds: float = 21_600.0,
) -> RayFleet:
    """A fleet on the cluster at `address`, without actors yet. FleetLost when Ray refuses the connection."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if split(address)[0] in LOOPBACK:
        # Ray takes loopback for the host's outer address, at which a head on loopback does not listen. This setting
        # (named after the systems where it is the default) keeps loopback what it says.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        ray.init(address=address, namespace="actinium", log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        ray.shutdown()
        raise FleetLost(f"Ray at {address} does not accept this process: {error}") from error
    return RayFleet(
        data_root=data_root,
        checkpoints=checkpoints,
        checkpoint_seconds=checkpoint_seconds,
        silence_seconds=silence_seconds,
        reachable=lambda: answers(address),
        own_node_lost=partial(own_node_lost, ray.get_runtime_context().get_node_id()),
    )
