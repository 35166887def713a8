"""Starts the parts in order, watches them, starts again what crashed, and stops all in order."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from actinium.errors import StackError
from services.loop import backoff
from services.stack import processes
from services.stack.parts import DATABASE, PARTS, Part
from services.stack.plan import StackPlan
from services.stack.runners import DatabaseRunner, ProcessRunner, Runner
from services.stack.state import PartState, PartStatus, ProcessMark, StackState

log = logging.getLogger(__name__)

BACKOFF_MOST_SECONDS = 30.0
STEADY_SECONDS = 10.0
"""A part that runs for n times this long is forgiven n earlier crashes, so that only what keeps crashing waits long."""
START_TRIES = 3
"""After so many crashes of one part before the stack was ever up, starting is given up."""
CHECK_SECONDS = 5.0
"""How often a part that is ready is asked whether it still answers."""
LOG_SECONDS = 10.0
"""How often logs are looked at that may have grown too large."""
RECHECK_SECONDS = 1.0
"""How often one that does not is asked again."""
STOPPED_LATE = (("api", "mlflow"), ("ray",), (DATABASE,))
"""Parts that others need while they shut down: stopped after those, group by group."""

Report = Callable[[str], object]


@dataclass(kw_only=True)
class Unit:
    """A part and where it stands."""

    runner: Runner
    since: datetime
    state: PartState = PartState.WAITING
    restarts: int = 0
    crashes: int = 0
    begun_at: datetime | None = None
    """Its last start."""
    start_at: datetime | None = None
    check_at: datetime | None = None


@dataclass(kw_only=True)
class Supervisor:
    """One round is `run_once`. `report` is called with lines for the people at the terminal."""

    plan: StackPlan
    begun: datetime
    report: Report = log.info
    parts: Sequence[Part] = PARTS
    units: list[Unit] = field(default_factory=list)
    up: bool = False
    """Whether every part has answered at once, or those that are late are waited for no longer (`go_on`)."""
    _written: StackState | None = None
    _logs_at: datetime | None = None
    _unwritten: str | None = None
    """Why the state could not be written last."""
    _self: ProcessMark = field(default_factory=processes.mark_of_self)

    def __post_init__(self) -> None:
        runners: list[Runner] = [ProcessRunner(part) for part in self.parts if part.wanted(self.plan)]
        if self.plan.own_database:
            # After Ray, whose start needs nothing, so that both come up at the same time.
            runners.insert(1 if self.plan.own_ray else 0, DatabaseRunner())
        self.units = [Unit(runner=runner, since=self.begun) for runner in runners]

    def run_once(self, *, now: datetime) -> None:
        """Restart parts that crashed, start those whose turn it is, check the others. StackError: one never starts."""
        for unit in self.units:
            if unit.state in (PartState.STARTING, PartState.READY, PartState.UNRESPONSIVE):
                self._watch(unit, now=now)
            if unit.state is PartState.WAITING and self._may_start(unit, now=now):
                self._start(unit, now=now)
        self.up = self.up or self.is_ready()
        self._rotate_logs(now=now)
        self.write_down()

    def _rotate_logs(self, *, now: datetime) -> None:
        """The parts' logs and this process's own, every LOG_SECONDS: one client alone may write 90 kB a second."""
        if self._logs_at is None or now >= self._logs_at:
            self._logs_at = now + timedelta(seconds=LOG_SECONDS)
            for path in (self.plan.home / "logs" / "stack.log", *(unit.runner.log(self.plan) for unit in self.units)):
                processes.rotate(path)

    def is_ready(self) -> bool:
        """Whether every part answers."""
        return all(unit.state is PartState.READY for unit in self.units)

    def go_on(self) -> list[tuple[str, Path]]:
        """Count as up without the parts that do not answer; their names, and where their logs are."""
        self.up = True
        late = [unit.runner for unit in self.units if unit.state is not PartState.READY]
        return [(runner.name, runner.log(self.plan)) for runner in late]

    def stop(self, *, now: datetime) -> None:
        """End everything in order, and whatever still has this stack's mark."""
        late = {name for names in STOPPED_LATE for name in names}
        running = [unit for unit in self.units if unit.state is not PartState.STOPPED]
        stages = [[unit for unit in running if unit.runner.name not in late]]
        stages += [[unit for unit in running if unit.runner.name in names] for names in STOPPED_LATE]
        for stage in stages:
            for unit in stage:
                unit.runner.ask()
            for unit in stage:
                self._stop(unit, now=now)
        processes.end(processes.marked(f"{self.plan.instance}/"), seconds=2.0)
        self.write_down()

    # ---- units ------------------------------------------------------------------------------------------------

    def _may_start(self, unit: Unit, *, now: datetime) -> bool:
        mine = {other.runner.name: other.state for other in self.units}
        waits = any(mine.get(name, PartState.READY) is not PartState.READY for name in unit.runner.after)
        return not waits and (unit.start_at is None or now >= unit.start_at)

    def _start(self, unit: Unit, *, now: datetime) -> None:
        try:
            self.plan = unit.runner.start(self.plan)
        except (StackError, OSError) as error:
            log.error("%s cannot be started: %s", unit.runner.name, error)
            self._crashed(unit, str(error), now=now)
            return
        unit.begun_at = now
        self._move(unit, PartState.STARTING, now=now)

    def _watch(self, unit: Unit, *, now: datetime) -> None:
        if not unit.runner.alive():
            self._crashed(unit, _last_line(unit.runner.log(self.plan)), now=now)
            return
        if unit.check_at is not None and now < unit.check_at:
            return
        answers = unit.runner.ready(self.plan)
        if unit.state is not PartState.STARTING:
            unit.check_at = now + timedelta(seconds=CHECK_SECONDS if answers else RECHECK_SECONDS)
            self._move(unit, PartState.READY if answers else PartState.UNRESPONSIVE, now=now)
        elif answers:
            unit.runner.settle(self.plan)
            self._move(unit, PartState.READY, now=now)
            self.report(f"{unit.runner.name} is ready after {(now - self.begun).total_seconds():.1f} s")

    def _crashed(self, unit: Unit, said: str, *, now: datetime) -> None:
        """Clear up, and try again after a pause that grows."""
        name = unit.runner.name
        if self.up and unit.begun_at is not None:
            lived = (now - unit.begun_at).total_seconds()
            unit.crashes -= min(unit.crashes, max(0, int(lived / STEADY_SECONDS)))  # a clock may be set back
        unit.crashes += 1
        unit.restarts += 1
        if not self.up and unit.crashes >= START_TRIES:
            raise StackError(f"{name} does not start: {said or 'it said nothing'}; see {unit.runner.log(self.plan)}")
        pause = backoff(unit.crashes, most=BACKOFF_MOST_SECONDS)
        log.warning("%s has ended (%s); it is started again in %.1f s", name, said, pause)
        unit.runner.stop(self.plan)
        unit.begun_at, unit.start_at, unit.check_at = None, now + timedelta(seconds=pause), None
        self._move(unit, PartState.WAITING, now=now)

    def _stop(self, unit: Unit, *, now: datetime) -> None:
        try:
            unit.runner.stop(self.plan)
        except StackError as error:
            log.error("%s", error)
        self._move(unit, PartState.STOPPED, now=now)

    def _move(self, unit: Unit, state: PartState, *, now: datetime) -> None:
        if unit.state is not state:
            log.info("%s: %s -> %s", unit.runner.name, unit.state.value, state.value)
            unit.state, unit.since = state, now

    # ---- what is written down ---------------------------------------------------------------------------------

    def write_down(self) -> None:
        """Write the state file, if the state has changed."""
        state = self.state()
        if state != self._written:
            try:
                state.write(self.plan.home)
            except OSError as error:  # a full disk stops no service; the next round tries again
                if self._unwritten != str(error):
                    log.error("%s cannot be written: %s", state.path(self.plan.home), error)
                self._unwritten = str(error)
                return
            self._written, self._unwritten = state, None

    def state(self) -> StackState:
        """The stack as `status` and `down` find it."""
        return StackState(
            instance=self.plan.instance,
            supervisor=self._self,
            home=str(self.plan.home),
            url=self.plan.url,
            dashboard_url=self.plan.dashboard_url,
            mlflow_url=self.plan.mlflow_url,
            parts=tuple(self._status(unit) for unit in self.units),
        )

    def _status(self, unit: Unit) -> PartStatus:
        lives = unit.state not in (PartState.WAITING, PartState.STOPPED)
        return PartStatus(
            name=unit.runner.name,
            state=unit.state,
            process=unit.runner.mark() if lives else None,
            address=unit.runner.address(self.plan),
            log=str(unit.runner.log(self.plan)),
            restarts=unit.restarts,
            since=unit.since,
        )


def _last_line(path: Path) -> str:
    """The end of a log, in a line."""
    try:
        lines: Sequence[str] = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][-300:] if lines else ""
