"""`up`: the whole stack, in the foreground or left running."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from actinium.errors import ActiniumError, StackError
from actinium.home import ClientFile
from services.loop import set_up_logging, stop_on_signals, utc_now
from services.settings import Settings
from services.stack import leftovers, reporting
from services.stack.parts import parts_of
from services.stack.plan import StackPlan, make_plan
from services.stack.reporting import Reporter
from services.stack.state import locked, prepare_home, write_private
from services.stack.supervisor import Supervisor

ROUND_SECONDS = 0.2
LATE_SECONDS = 240.0
"""How long `up` waits for a part before it goes on without it. The part is not given up: the supervisor watches it."""


def foreground(settings: Settings) -> None:
    """Run the stack until Ctrl-C or SIGTERM; then it is down."""
    home = settings.home.expanduser().absolute()
    reporter = Reporter()
    stop = stop_on_signals()
    try:
        prepare_home(home)
        with locked(home):
            set_up_logging()
            run(settings, home=home, stop=stop, reporter=reporter)
    except ActiniumError as error:
        reporter.failed(str(error))
        raise


def detached(settings: Settings) -> None:
    """Start a supervisor that outlives this process; return once the stack is ready."""
    home = settings.home.expanduser().absolute()
    prepare_home(home)
    with locked(home):
        pass  # a second stack is refused here already
    log_file = home / "logs" / "stack.log"
    reading, writing = os.pipe()
    with log_file.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.stack", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home / "run",
            env={
                **os.environ,
                "ACTINIUM_HOME": str(home),
                "ACTINIUM_DATA": str(settings.data_root().expanduser().absolute()),
                reporting.VARIABLE: str(writing),
            },
            pass_fds=(writing,),
            start_new_session=True,
        )
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        if reporting.follow(lines):
            return
    raise StackError(f"the stack ended while it was starting (exit {process.wait()}); see {log_file}")


def run(settings: Settings, *, home: Path, stop: threading.Event, reporter: Reporter) -> None:
    """The supervisor's life, under the home's lock."""
    cleared = leftovers.clear(home)
    if cleared:
        reporter.say(f"ended {cleared} processes that an earlier stack had left")
    plan = make_plan(settings, home=home)
    prepare_ray(plan)
    if not plan.own_database:
        prepare_database(plan)
    supervisor = Supervisor(plan=plan, begun=utc_now(), report=reporter.say, parts=parts_of(plan))
    supervisor.write_down()
    try:
        supervise(supervisor, stop=stop, reporter=reporter)
    finally:
        ClientFile.path(home).unlink(missing_ok=True)
        supervisor.stop(now=utc_now())


def supervise(supervisor: Supervisor, *, stop: threading.Event, reporter: Reporter) -> None:
    """Rounds until `stop`; the addresses are told as soon as everything answers, or LATE_SECONDS are over. A part that
    is late then is named, and stops nobody: what does not need it works meanwhile.
    """
    announced, deadline = False, supervisor.begun + timedelta(seconds=LATE_SECONDS)
    while not stop.is_set():
        supervisor.run_once(now=utc_now())
        if not announced and not supervisor.up and utc_now() > deadline:
            for name, log_file in supervisor.go_on():
                reporter.say(f"LATE: {name} does not answer after {LATE_SECONDS:g} s; it is waited for, see {log_file}")
        if supervisor.up and not announced:
            announced = True
            announce(supervisor.plan, reporter)
        stop.wait(ROUND_SECONDS)


def announce(plan: StackPlan, reporter: Reporter) -> None:
    """Write the file by which clients find this stack, and tell the addresses."""
    ClientFile(
        url=plan.url, token=plan.admin_token, dashboard_url=plan.dashboard_url, mlflow_url=plan.mlflow_url
    ).write(plan.home)
    for what, where in (
        ("Dashboard", plan.dashboard_url),
        ("API", f"{plan.url}/docs"),
        ("MLflow", plan.mlflow_url),
        ("Logs", str(plan.home / "logs")),
    ):
        reporter.say(f"{what:<10} {where}")
    reporter.ready()


def prepare_ray(plan: StackPlan) -> None:
    """Remove what earlier Ray sessions left, put Ray's logs beside the others, and make a token for its doors."""
    if not plan.own_ray:
        return
    folder = plan.ray_folder.parent
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != os.getuid()):
        raise StackError(f"{folder} belongs to somebody else; remove it")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    write_private(plan.ray_token, secrets.token_hex(32))
    link = plan.home / "logs" / "ray"
    link.unlink(missing_ok=True)
    link.symlink_to(plan.ray_folder / "session_latest" / "logs")


def prepare_database(plan: StackPlan) -> None:
    """Bring somebody else's server up to date, with a second database for MLflow where MLflow is ours."""
    from db.__main__ import prepare  # alembic takes a second to import, and is not needed with the embedded server

    assert plan.database_url is not None
    prepare(plan.database_url, also="mlflow" if plan.own_mlflow else None)
