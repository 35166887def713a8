"""Processes are found by their mark and told apart by their start: nothing is left, and no stranger is hit."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.stack import processes
from services.stack.processes import Command
from services.stack.state import ProcessMark, prepare_home

# A child that starts a grandchild in a session of its own, and leaves it behind.
LEAVES_ONE = (
    "import subprocess, sys;"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
    "print(p.pid, flush=True)"
)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def instance() -> Iterator[str]:
    """A mark of this test's own; whatever has it is ended."""
    mark = f"test-{os.getpid()}"
    yield mark
    processes.end(processes.marked(mark), seconds=0.0)


def run(code: str, mark: str, tmp_path: Path) -> "subprocess.Popen[bytes]":
    """Start some Python, with its output in `out.log`."""
    command = Command(arguments=[sys.executable, "-c", code], environment={})
    return processes.start(command, mark=mark, log_file=tmp_path / "out.log", cwd=tmp_path)


def wait_for_output(tmp_path: Path, process: "subprocess.Popen[bytes]") -> str:
    """The first line, as soon as it is there."""
    while process.poll() is None and not (tmp_path / "out.log").read_text().endswith("\n"):
        os.sched_yield()
    return (tmp_path / "out.log").read_text().strip()


@pytest.mark.slow
def test_an_orphan_in_its_own_session_is_found_by_its_mark(instance: str, tmp_path: Path) -> None:
    child = run(LEAVES_ONE, f"{instance}/part", tmp_path)
    assert child.wait(timeout=60) == 0
    orphan = int((tmp_path / "out.log").read_text())
    assert [process.pid for process in processes.marked(f"{instance}/")] == [orphan]
    assert processes.marked(f"{instance}/other") == []
    assert processes.marked(f"{instance}/pa") == [], "a part whose name begins alike is another one"
    processes.end(processes.marked(f"{instance}/"), seconds=5.0)
    assert not psutil.pid_exists(orphan)


def test_who_does_not_listen_is_killed(instance: str, tmp_path: Path) -> None:
    child = run(DEAF, f"{instance}/part", tmp_path)
    assert wait_for_output(tmp_path, child) == "deaf"
    processes.end([psutil.Process(child.pid)], seconds=0.2)
    assert not psutil.pid_exists(child.pid)
    child.wait(timeout=10)


def test_a_number_that_is_now_a_strangers_finds_nobody() -> None:
    own = processes.mark_of_self()
    assert processes.find(own) is not None
    assert processes.find(ProcessMark(pid=own.pid, started=own.started - 60.0)) is None
    assert processes.find(None) is None


def test_the_marked_are_never_this_process() -> None:
    assert os.getpid() not in {process.pid for process in processes.with_offspring([psutil.Process()])}


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not schedule by session")
def test_who_gives_way_does_so_as_a_session_too(instance: str, tmp_path: Path) -> None:
    """The kernel weighs sessions against each other before it looks at the niceness of processes."""
    process = run(DEAF, instance, tmp_path)
    processes.give_way(process.pid, 3)
    expected = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == expected
    assert Path(f"/proc/{process.pid}/autogroup").read_text(encoding="ascii").endswith(f"nice {expected}\n")
    process.kill()
    process.wait(timeout=10)


def test_a_part_inherits_no_secret_that_its_command_does_not_name(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts the stack may have them all set; the processes that train get neither token nor database."""
    for name in [name for name in os.environ if name.startswith("ACTINIUM_")]:
        monkeypatch.delenv(name)
    for name in processes.SECRETS:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("ACTINIUM_LEASE_SECONDS", "7")
    code = "import os; print(sorted(n for n in os.environ if n.startswith('ACTINIUM_')))"
    command = Command(arguments=[sys.executable, "-c", code], environment={"ACTINIUM_TOKEN": "its own"})
    child = processes.start(command, mark=f"{instance}/part", log_file=tmp_path / "out.log", cwd=tmp_path)
    assert child.wait(timeout=60) == 0
    assert wait_for_output(tmp_path, child) == "['ACTINIUM_LEASE_SECONDS', 'ACTINIUM_PART', 'ACTINIUM_TOKEN']"


def test_a_log_is_put_aside_while_its_process_goes_on_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever one client makes a service write, a log has an end; and the process writes to the same file."""
    monkeypatch.setattr(processes, "LOG_BYTES", 5_000)
    log_file = tmp_path / "api.log"
    code = "import sys\nfor line in sys.stdin: print(line.strip() * 40, flush=True)"
    with log_file.open("ab") as output:
        command = [sys.executable, "-c", code]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, text=True)
    assert child.stdin is not None
    sizes = []
    for number in range(60):
        child.stdin.write(f"line{number:03}\n")
        child.stdin.flush()
        deadline = time.monotonic() + 30
        while f"line{number:03}" not in log_file.read_text() and time.monotonic() < deadline:
            time.sleep(0.005)
        sizes.append(log_file.stat().st_size)
        processes.rotate(log_file)
    child.stdin.close()
    assert child.wait(30) == 0
    assert max(sizes) < 6_000 and sum(later < earlier for earlier, later in itertools.pairwise(sizes)) >= 2
    kept = (tmp_path / "api.log.1").read_text() + log_file.read_text()
    assert "line059" in kept and "\0" not in kept
    assert (tmp_path / "api.log.1").stat().st_mode & 0o077 == 0


def test_a_home_is_closed_to_others(tmp_path: Path) -> None:
    """A new one, and one that was made before."""
    for home in (tmp_path / "new", tmp_path / "old"):
        if home.name == "old":
            home.mkdir(mode=0o755)
        prepare_home(home)
        assert home.stat().st_mode & 0o777 == (0o711 if os.getuid() == 0 else 0o700)
