"""The processes of one stack that may be struck, found through what the stack has written down of itself."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TypeAlias

import psutil
import psycopg
from stack_fixture import stack_environment

from db.embedded import embedded
from services.stack import processes
from services.stack.state import StackState


class Victim(StrEnum):
    """Whom the monkey strikes."""

    WORKER = "worker"  # a Ray worker that trains
    RAYLET = "raylet"
    HEAD = "head"  # Ray's GCS, and with it the whole cluster
    DISPATCHER = "dispatcher"
    SINK = "sink"
    MLFLOW = "mlflow"
    API = "api"
    POSTGRES = "postgres"  # the postmaster; frozen with all of its processes
    BACKEND = "backend"  # one client's process: PostgreSQL then restarts all of them
    STORE = "store"  # MLflow's database
    STACK = "stack"  # all of it, by its own commands


Family: TypeAlias = list[psutil.Process]
"""What is struck at once, the one to be asked first."""


@dataclass(frozen=True, kw_only=True)
class Quarry:
    """The stack of one home. Only what it wrote down, with number and start time, and the offspring of that is ever
    found: never a stranger.
    """

    home: Path

    def find(self, victim: Victim, rng: Random) -> Family:
        """A victim that lives now, one of several drawn; empty when there is none."""
        found = sorted(FINDERS[victim](self), key=lambda family: family[0].pid)
        return rng.choice(found) if found else []

    def part(self, name: str) -> psutil.Process | None:
        """A part's own process, as the stack wrote it down."""
        state = StackState.read(self.home)
        known = {} if state is None else {part.name: part.process for part in state.parts}
        return processes.find(known.get(name))

    def family(self, name: str) -> list[Family]:
        """A part with all of its offspring."""
        process = self.part(name)
        return [] if process is None else [[process, *_offspring(process)]]

    def of_ray(self, wanted: Callable[[psutil.Process], bool]) -> list[Family]:
        """Processes of Ray, each by itself."""
        head = self.part("ray")
        return [] if head is None else [[process] for process in _offspring(head) if _holds(wanted, process)]

    def dispatchers(self) -> list[Family]:
        """All dispatchers of the stack."""
        state = StackState.read(self.home)
        parts = () if state is None else state.parts
        found = [processes.find(part.process) for part in parts if part.name.startswith("dispatcher")]
        return [[process] for process in found if process is not None]

    def supervisors(self) -> list[Family]:
        """The supervisor."""
        state = StackState.read(self.home)
        process = None if state is None else processes.find(state.supervisor)
        return [] if process is None else [[process]]

    def backends(self) -> list[Family]:
        """Processes in which PostgreSQL answers clients of the database `actinium`."""
        server = self.part("postgres")
        clients = [] if server is None else _offspring(server)
        return [[one] for one in clients if _holds(lambda one: " actinium [local]" in " ".join(one.cmdline()), one)]

    def drop_store(self) -> None:
        """MLflow's database is lost, and an empty one is in its place."""
        server = embedded(self.home)
        with psycopg.connect(host=str(server.sockets), user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute("DROP DATABASE IF EXISTS mlflow WITH (FORCE)")
            admin.execute("CREATE DATABASE mlflow")

    def restart_stack(self) -> None:
        """`down`, and `up` at the same addresses."""
        state = StackState.read(self.home)
        assert state is not None
        where = {part.name: part.address for part in state.parts if part.address}
        ports = {
            f"ACTINIUM_{name.upper()}_PORT": where[name].rsplit(":", 1)[1]
            for name in ("api", "dashboard", "mlflow", "ray")
        }
        told = stack_environment(self.home) | ports
        for command in (("down",), ("up", "--detach")):
            done = subprocess.run(
                [sys.executable, "-m", "services.stack", *command],
                env=told,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _offspring(process: psutil.Process) -> Sequence[psutil.Process]:
    try:
        found: Sequence[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found


def _holds(wanted: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return wanted(process)
    except psutil.Error:  # it has gone meanwhile
        return False


def _trains(process: psutil.Process) -> bool:
    return any("PackTrainer" in word for word in process.cmdline()[:1])


FINDERS: Mapping[Victim, Callable[[Quarry], list[Family]]] = {
    Victim.WORKER: lambda quarry: quarry.of_ray(_trains),
    Victim.RAYLET: lambda quarry: quarry.of_ray(lambda process: process.name() == "raylet"),
    Victim.HEAD: lambda quarry: quarry.of_ray(lambda process: process.name() == "gcs_server"),
    Victim.DISPATCHER: Quarry.dispatchers,
    Victim.SINK: lambda quarry: quarry.family("sink"),
    Victim.MLFLOW: lambda quarry: quarry.family("mlflow"),
    Victim.API: lambda quarry: quarry.family("api"),
    Victim.POSTGRES: lambda quarry: quarry.family("postgres"),
    Victim.BACKEND: Quarry.backends,
    Victim.STORE: lambda quarry: quarry.family("mlflow"),
    Victim.STACK: lambda quarry: quarry.supervisors(),
}
