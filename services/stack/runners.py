"""How a part runs: as a process of ours, or as the embedded database."""

import logging
import subprocess
from pathlib import Path
from typing import Protocol

from db.embedded import EmbeddedServer, Readiness, embedded
from services.stack import processes
from services.stack.parts import DATABASE, Part, ready_file
from services.stack.plan import StackPlan
from services.stack.state import ProcessMark

log = logging.getLogger(__name__)


class Runner(Protocol):
    """One part's life. `start` may be called again after its end."""

    name: str
    after: tuple[str, ...]

    def start(self, plan: StackPlan) -> StackPlan:
        """Start it; the plan with what is known since. May raise StackError."""

    def alive(self) -> bool:
        """Whether its process lives."""

    def ready(self, plan: StackPlan) -> bool:
        """Whether it answers."""

    def settle(self, plan: StackPlan) -> None:
        """Called once it has become ready: sets its niceness."""

    def ask(self) -> None:
        """Ask it to end, without waiting."""

    def stop(self, plan: StackPlan) -> None:
        """End it with all that it started. Calling it on a dead one clears up what it left."""

    def mark(self) -> ProcessMark | None:
        """Its process."""

    def address(self, plan: StackPlan) -> str | None:
        """Where it answers."""

    def log(self, plan: StackPlan) -> Path:
        """Where its output is."""


class ProcessRunner:
    """A part of the table, as a child process in a session of its own."""

    STOP_SECONDS = 15.0
    """How long it may take to end in order."""
    LEFT_SECONDS = 2.0
    """How long those that it leaves may take."""

    def __init__(self, part: Part) -> None:
        self.name, self.after = part.name, part.after
        self._part = part
        self._process: subprocess.Popen[bytes] | None = None
        self._mark: ProcessMark | None = None

    def start(self, plan: StackPlan) -> StackPlan:
        """Start the command, after removing the ready file of an earlier start."""
        ready_file(plan, self.name).unlink(missing_ok=True)
        self._process = processes.start(
            self._part.command(plan),
            mark=f"{plan.instance}/{self.name}",
            log_file=self.log(plan),
            cwd=plan.home / "run",
        )
        self._mark = processes.mark_of(self._process.pid)
        return plan

    def alive(self) -> bool:
        """Whether the child runs. Reaps it when it does not."""
        return self._process is not None and self._process.poll() is None

    def ready(self, plan: StackPlan) -> bool:
        """The part's own check."""
        return self._part.ready(plan)()

    def settle(self, plan: StackPlan) -> None:
        """The part's niceness, for the whole family."""
        if self._part.nice:
            for process in processes.marked(f"{plan.instance}/{self.name}"):
                processes.give_way(process.pid, self._part.nice)

    def ask(self) -> None:
        """SIGTERM to the child alone: it knows the order in which its own children end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, plan: StackPlan) -> None:
        """The child in its own order; then whatever it has left."""
        self.ask()
        if self._process is not None:
            try:
                self._process.wait(timeout=self.STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("%s does not end in %g s", self.name, self.STOP_SECONDS)
        family = processes.with_offspring(processes.marked(f"{plan.instance}/{self.name}"))
        processes.end(family, seconds=self.LEFT_SECONDS)
        if self._process is not None:
            self._process.wait()

    def mark(self) -> ProcessMark | None:
        """The child."""
        return self._mark

    def address(self, plan: StackPlan) -> str | None:
        """As the table says."""
        return self._part.address(plan)

    def log(self, plan: StackPlan) -> Path:
        """`logs/NAME.log`."""
        return plan.home / "logs" / f"{self.name}.log"


class DatabaseRunner:
    """The embedded PostgreSQL. It outlives a supervisor that is killed, and the next one finds it again.

    A server that is told to stop while it recovers may hang, refusing every connection. After LEAVING_CHECKS such
    refusals in a row it counts as dead, and is stopped at once.
    """

    LEAVING_CHECKS = 10

    def __init__(self) -> None:
        self.name = DATABASE
        self.after: tuple[str, ...] = ()
        self._server: EmbeddedServer | None = None
        self._leaving = 0

    def start(self, plan: StackPlan) -> StackPlan:
        """Start or find the server; returns when it answers."""
        self._server = embedded(plan.home)
        self._leaving = 0
        return plan.with_database(database_url=self._server.url, mlflow_store=self._server.mlflow_url)

    def alive(self) -> bool:
        """Whether the server runs."""
        return self._server is not None and self._server.running() and self._leaving < self.LEAVING_CHECKS

    def ready(self, plan: StackPlan) -> bool:
        """Whether it accepts a connection."""
        readiness = Readiness.BUSY if self._server is None else self._server.readiness()
        self._leaving = self._leaving + 1 if readiness is Readiness.LEAVING else 0
        return readiness is Readiness.READY

    def settle(self, plan: StackPlan) -> None:
        """Nothing: the database keeps its priority, because every part waits for it."""

    def ask(self) -> None:
        """It ends at once, when it is stopped."""

    def stop(self, plan: StackPlan) -> None:
        """Stop in order; at once where it counts as dead."""
        if self._server is not None:
            self._server.stop(at_once=self._leaving >= self.LEAVING_CHECKS)

    def mark(self) -> ProcessMark | None:
        """The server's first process."""
        return None if self._server is None else processes.mark_of(self._server.pid)

    def address(self, plan: StackPlan) -> str | None:
        """The socket's folder."""
        return None if self._server is None else str(self._server.sockets)

    def log(self, plan: StackPlan) -> Path:
        """The server's own log."""
        return plan.home / "postgres" / "server.log"
