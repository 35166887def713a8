"""The supervisor over small real processes: order, readiness, restarts, giving up, stopping, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import psutil
import pytest

from actinium.errors import StackError
from services.settings import Settings
from services.stack import checks, leftovers, processes, reporting
from services.stack.down import down
from services.stack.parts import Part, ready_file
from services.stack.plan import StackPlan, make_plan, python
from services.stack.processes import Command
from services.stack.state import PartState, StackState, is_running, locked, prepare_home
from services.stack.status import status
from services.stack.supervisor import Supervisor
from services.stack.up import supervise

pytestmark = pytest.mark.slow

# Says that it is ready, starts a child in a session of its own, and stays.
STAYS = """
import os, pathlib, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path(os.environ["READY"]).write_text("")
time.sleep(600)
"""
ENDS = "import sys; sys.exit('no luck today')"
PATIENCE = 1000
"""Rounds of a fiftieth of a second."""


def part(name: str, code: str = STAYS, *, after: tuple[str, ...] = ()) -> Part:
    """A part that is ready when its file is there."""

    def command(plan: StackPlan) -> Command:
        return Command(arguments=python("-c", code), environment={"READY": str(ready_file(plan, name))})

    return Part(name=name, after=after, command=command, ready=lambda plan: checks.pulse(ready_file(plan, name)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A prepared home."""
    prepare_home(tmp_path)
    return tmp_path


@pytest.fixture
def plan(home: Path) -> Iterator[StackPlan]:
    """A plan without a database of its own; whatever it started is ended."""
    ports = {"api_port": 0, "dashboard_port": 0, "mlflow_port": 0, "ray_port": 0}
    elsewhere = {"database_url": "postgresql://db.example/actinium", "ray_address": None, "mlflow_url": None}
    made = make_plan(Settings.model_validate({"home": home, **ports, **elsewhere}), home=home)
    yield made
    processes.end(processes.marked(made.instance), seconds=0.0)


def rounds(supervisor: Supervisor, now: datetime, done: Callable[[], bool]) -> None:
    """Rounds at one moment, until the processes are where they should be."""
    for _ in range(PATIENCE):
        supervisor.run_once(now=now)
        if done():
            return
        Event().wait(0.02)
    raise AssertionError(supervisor.state().model_dump_json(indent=2))


def states(supervisor: Supervisor) -> dict[str, PartState]:
    """Where each part stands."""
    return {unit.runner.name: unit.state for unit in supervisor.units}


def pid(supervisor: Supervisor, name: str) -> int:
    """A part's process, as the file has it."""
    written = StackState.read(supervisor.plan.home)
    assert written is not None
    process = next(part.process for part in written.parts if part.name == name)
    assert process is not None
    return process.pid


def test_a_part_is_started_once_those_before_it_are_ready(plan: StackPlan, now: datetime) -> None:
    waits = part("first", "import time; time.sleep(600)")
    supervisor = Supervisor(plan=plan, begun=now, parts=[waits, part("second", after=("first",))])
    supervisor.run_once(now=now)
    supervisor.run_once(now=now)
    assert states(supervisor) == {"first": PartState.STARTING, "second": PartState.WAITING}
    assert not supervisor.up
    ready_file(plan, "first").touch()
    rounds(supervisor, now, supervisor.is_ready)
    supervisor.stop(now=now)


def test_what_crashes_is_started_again_with_nothing_of_it_left(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one"), part("two")])
    rounds(supervisor, now, supervisor.is_ready)
    first, other = pid(supervisor, "one"), pid(supervisor, "two")
    family = [process.pid for process in processes.marked(f"{plan.instance}/one")]
    assert len(family) == 2
    os.kill(first, signal.SIGKILL)
    rounds(supervisor, now, lambda: states(supervisor)["one"] is PartState.WAITING)
    assert not any(psutil.pid_exists(number) for number in family)
    supervisor.run_once(now=now)
    assert states(supervisor)["one"] is PartState.WAITING, "it waits for its backoff"
    rounds(supervisor, now + timedelta(seconds=1), supervisor.is_ready)
    assert pid(supervisor, "one") != first and pid(supervisor, "two") == other
    written = StackState.read(plan.home)
    assert written is not None and [each.restarts for each in written.parts] == [1, 0]
    supervisor.stop(now=now)


def test_what_keeps_crashing_waits_longer_and_what_lived_for_a_while_does_not(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one")])
    rounds(supervisor, now, supervisor.is_ready)

    def crash(at: datetime) -> tuple[float, datetime]:
        """Let it die: the pause until it is started again, and when that is over."""
        os.kill(pid(supervisor, "one"), signal.SIGKILL)
        rounds(supervisor, at, lambda: states(supervisor)["one"] is PartState.WAITING)
        again = supervisor.units[0].start_at
        assert again is not None
        rounds(supervisor, again, supervisor.is_ready)
        return (again - at).total_seconds(), again

    at, pauses = now, []
    for lived in (0.0, 1.0, 1.0, 1.0, 25.0, 100.0):
        pause, at = crash(at + timedelta(seconds=lived))
        pauses.append(pause)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 2.0, 0.5]
    supervisor.stop(now=at)


def test_a_stack_whose_part_never_starts_says_why(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one"), part("sad", ENDS)])
    with pytest.raises(StackError, match=r"sad does not start: no luck today; see .*/logs/sad\.log"):
        for minute in range(5):
            rounds(supervisor, now + timedelta(minutes=minute), lambda: states(supervisor)["sad"] is PartState.WAITING)
            rounds(
                supervisor,
                now + timedelta(minutes=minute, seconds=50),
                lambda: states(supervisor)["sad"] is not PartState.WAITING,
            )
    supervisor.stop(now=now)


def test_a_part_that_lives_and_does_not_answer_is_shown_as_such(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one")])
    rounds(supervisor, now, supervisor.is_ready)
    ready_file(plan, "one").unlink()
    supervisor.run_once(now=now + timedelta(minutes=1))
    assert states(supervisor) == {"one": PartState.UNRESPONSIVE}
    ready_file(plan, "one").touch()
    supervisor.run_once(now=now + timedelta(minutes=2))
    assert supervisor.is_ready() and supervisor.units[0].restarts == 0
    supervisor.stop(now=now)


def test_stopping_leaves_nothing(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("api"), part("sink")])
    rounds(supervisor, now, supervisor.is_ready)
    assert len(processes.marked(plan.instance)) == 4
    supervisor.stop(now=now)
    assert processes.marked(plan.instance) == []
    assert set(states(supervisor).values()) == {PartState.STOPPED}


def test_a_killed_supervisors_children_are_ended_by_down_and_a_stranger_is_not(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("api"), part("sink")])
    rounds(supervisor, now, supervisor.is_ready)
    family = [process.pid for process in processes.marked(plan.instance)]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        # As after a kill -9 and a long time: nobody holds the lock, and the sink's number is a stranger's.
        written = StackState.read(plan.home)
        assert written is not None
        old = processes.ProcessMark(pid=stranger.pid, started=1.0)
        parts = [each.model_copy(update={"process": old}) if each.name == "sink" else each for each in written.parts]
        written.model_copy(update={"parts": tuple(parts)}).write(plan.home)
        said: list[str] = []
        down(plan.settings, say=said.append)
        assert said == ["the stack was gone already; ended 4 processes that it had left"]
        assert not any(psutil.pid_exists(number) for number in family)
        assert stranger.poll() is None
        stranger.kill()
    for unit in supervisor.units:
        unit.runner.stop(plan)  # reaps the children that this process started
    assert leftovers.clear(plan.home) == 0


def test_one_home_has_one_stack(plan: StackPlan, now: datetime) -> None:
    assert not is_running(plan.home)
    Supervisor(plan=plan, begun=now, parts=[]).write_down()
    with locked(plan.home):
        assert is_running(plan.home)
        with pytest.raises(StackError, match=f"running already at {plan.url} "), locked(plan.home):
            pass
    assert not is_running(plan.home)


def test_status_tells_of_each_part(plan: StackPlan, now: datetime) -> None:
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one")])
    rounds(supervisor, now, supervisor.is_ready)
    said: list[str] = []
    assert not status(plan.settings, as_json=False, say=said.append)
    assert said[1] == "but one still run; `actinium down` ends them"
    with locked(plan.home):
        assert status(plan.settings, as_json=False, say=said.append)
        assert status(plan.settings, as_json=True, say=said.append)
    assert f"one      ready  {pid(supervisor, 'one')}" in said[-2]
    shown = json.loads(said[-1])
    assert shown["ready"] and shown["url"] == plan.url
    assert shown["services"][0] | {"since": ""} == {
        "name": "one",
        "state": "ready",
        "pid": pid(supervisor, "one"),
        "address": None,
        "log": str(plan.home / "logs" / "one.log"),
        "restarts": 0,
        "since": "",
    }
    supervisor.stop(now=now)


def test_a_home_that_cannot_be_written_is_refused_in_a_sentence() -> None:
    with pytest.raises(StackError, match=r"/proc/nowhere is not writable .*; set ACTINIUM_HOME"):
        prepare_home(Path("/proc/nowhere"))


class Listener(reporting.Reporter):
    """Hears what a starting stack tells, and stops it as soon as it says that it is ready."""

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self.heard: list[str] = []
        self._stop = stop

    def say(self, line: str) -> None:
        self.heard.append(line)

    def ready(self) -> None:
        self._stop.set()


def test_a_part_that_is_late_is_named_and_stops_nobody(plan: StackPlan, now: datetime) -> None:
    """`now` is long ago, so that whoever does not answer is late at once."""
    late = part("late", "import time; time.sleep(600)")
    supervisor = Supervisor(plan=plan, begun=now, parts=[part("one"), late])
    stop = Event()
    listener = Listener(stop)
    supervise(supervisor, stop=stop, reporter=listener)
    said = [line for line in listener.heard if line.startswith("LATE")]
    assert f"LATE: late does not answer after 240 s; it is waited for, see {plan.home}/logs/late.log" in said
    assert any(line.startswith("API ") for line in listener.heard)
    rounds(supervisor, now, lambda: states(supervisor)["one"] is PartState.READY)
    assert states(supervisor)["late"] is PartState.STARTING and processes.marked(f"{plan.instance}/late")
    for minute in range(5):  # what crashes now is started again, and no longer ends the start of all
        os.kill(pid(supervisor, "late"), signal.SIGKILL)
        moment = now + timedelta(minutes=minute)
        rounds(supervisor, moment, lambda: states(supervisor)["late"] is PartState.WAITING)
        rounds(supervisor, moment + timedelta(seconds=40), lambda: states(supervisor)["late"] is PartState.STARTING)
    supervisor.stop(now=now)


def test_a_part_whose_pulse_is_old_does_not_answer(tmp_path: Path) -> None:
    answers = checks.pulse(tmp_path / "one.ready")
    assert not answers()
    (tmp_path / "one.ready").touch()
    assert answers()
    os.utime(tmp_path / "one.ready", (1.0, time.time() - checks.PULSE_SECONDS - 1.0))
    assert not answers()
