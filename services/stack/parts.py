"""The parts of a stack: one visible table, in the order of starting. Adding a part is adding an entry."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actinium.errors import StackError
from services.stack import checks
from services.stack.checks import Check
from services.stack.plan import StackPlan, python
from services.stack.ports import LOOPBACK
from services.stack.processes import Command

OBJECT_STORE_BYTES = 200_000_000
"""Ray's shared memory. What passes through it here is small; Ray accepts no less than 80 MB."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
"""For processes that train: glibc otherwise gives every large tensor back to the kernel and faults it in again."""
MIRROR_NICE = 15
"""Added to the niceness of MLflow and the sink, so that they use what training leaves: a thirtieth of a core at least.
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the stack. It is started once the parts in `after` are ready, and is ready once its check `ready`
    succeeds. `nice` is added to its niceness only then, so that the start is not slowed down.
    """

    name: str
    after: tuple[str, ...] = ()
    command: Callable[[StackPlan], Command]
    ready: Callable[[StackPlan], Check]
    address: Callable[[StackPlan], str | None] = lambda plan: None
    wanted: Callable[[StackPlan], bool] = lambda plan: True
    nice: int = 0


DATABASE = "postgres"
"""The embedded database is a part as well; it has its own way to start (`supervisor`)."""


def ready_file(plan: StackPlan, name: str) -> Path:
    """Where a part without an address says that it works (`services.loop.Pulse`)."""
    return plan.home / "run" / f"{name}.ready"


def environment(plan: StackPlan, name: str) -> dict[str, str]:
    """The environment of our services. Tokens are blank: `api_command` and `dashboard_command` set theirs."""
    settings = plan.settings
    assert plan.database_url is not None, "services are started after the database"
    return {
        **ONE_THREAD,
        "ACTINIUM_HOME": str(plan.home),
        "ACTINIUM_DATA": str(plan.data),
        "ACTINIUM_CHECKPOINTS": settings.checkpoint_address(),
        "ACTINIUM_DATABASE_URL": plan.database_url,
        "ACTINIUM_RAY_ADDRESS": plan.ray_address,
        "ACTINIUM_MLFLOW_URL": plan.mlflow_url,
        "ACTINIUM_API_PORT": str(settings.api_port),
        "ACTINIUM_DASHBOARD_PORT": str(settings.dashboard_port),
        "ACTINIUM_MLFLOW_PORT": str(settings.mlflow_port),
        "ACTINIUM_RAY_PORT": str(settings.ray_port),
        "ACTINIUM_READY_FILE": str(ready_file(plan, name)),
        "ACTINIUM_ALLOWED_HOSTS": settings.allowed_hosts or "",
        "ACTINIUM_ADMIN_TOKEN": "",
        "ACTINIUM_VIEWER_TOKEN": "",
        "ACTINIUM_TOKEN": "",
        "PYTHONUNBUFFERED": "1",
    }


def ray_environment(plan: StackPlan) -> dict[str, str]:
    """Ray's settings, which must be the same for the head and for whoever connects to it."""
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback stays loopback, see services/dispatcher/ray_connection.py
        # Said explicitly: left unset, it depends on whether this user has a token of some other cluster lying about.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(plan.ray_token),
        "RAY_worker_niceness": "5",
        "SPT_NOENV": "1",  # process titles must not overwrite the environment, which holds the mark
    }


def ray_command(plan: StackPlan) -> Command:
    """A head on loopback, without the dashboard, usage reports, autoscaler and log monitor."""
    options: Mapping[str, object] = {
        "port": plan.settings.ray_port,
        "node-ip-address": LOOPBACK,
        "ray-client-server-port": plan.ray_client_port,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "dashboard-agent-listen-port": 0,
        "temp-dir": plan.ray_folder,
        "object-store-memory": OBJECT_STORE_BYTES,
        "include-dashboard": "false",
        "include-log-monitor": "false",
        "log-style": "record",
        "log-color": "false",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return Command(
        arguments=python(
            "-m",
            "ray.scripts.scripts",
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
            "--no-monitor",
            *arguments,
        ),
        environment={
            **ray_environment(plan),
            **KEEP_MEMORY,
            "ACTINIUM_DATA": str(plan.data),
            "ACTINIUM_HOME": str(plan.home),
        },
    )


def mlflow_command(plan: StackPlan) -> Command:
    """One worker on its own database. The address with its password is in the environment, not in the arguments."""
    return Command(
        arguments=python(
            *("-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(plan.settings.mlflow_port)),
            *("--workers", "1", "--artifacts-destination", str(plan.home / "mlflow")),
        ),
        environment={
            **ONE_THREAD,
            "MLFLOW_BACKEND_STORE_URI": plan.mlflow_store or "",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_AGENT_HINT": "true",
        },
    )


def api_command(plan: StackPlan) -> Command:
    """The API, which also makes the tokens known."""
    tokens = {"ACTINIUM_ADMIN_TOKEN": plan.admin_token, "ACTINIUM_VIEWER_TOKEN": plan.viewer_token}
    return Command(arguments=python("-m", "services.api"), environment=environment(plan, "api") | tokens)


def dispatcher_part(name: str) -> Part:
    """A dispatcher. Several share the slots."""

    def command(plan: StackPlan) -> Command:
        settings = ray_environment(plan) if plan.own_ray else {}
        return Command(arguments=python("-m", "services.dispatcher"), environment=environment(plan, name) | settings)

    return Part(name=name, after=(DATABASE,), command=command, ready=lambda plan: checks.pulse(ready_file(plan, name)))


def sink_command(plan: StackPlan) -> Command:
    """The sink."""
    return Command(arguments=python("-m", "services.sink"), environment=environment(plan, "sink"))


def dashboard_command(plan: StackPlan) -> Command:
    """Streamlit on loopback, a client of the API with a viewer's token, or that of whoever signs in; no database."""
    found = importlib.util.find_spec("dashboard")
    if found is None or not found.submodule_search_locations:
        raise StackError("the package `dashboard` is not installed; install the whole project")
    options: Mapping[str, object] = {
        "server.headless": "true",
        "server.address": LOOPBACK,
        "server.port": plan.settings.dashboard_port,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    app = Path(found.submodule_search_locations[0]) / "app.py"
    return Command(
        arguments=python("-m", "streamlit", "run", str(app), *(f"--{name}={value}" for name, value in options.items())),
        environment={
            **ONE_THREAD,
            "ACTINIUM_HOME": str(plan.home),
            "ACTINIUM_URL": plan.url,
            "ACTINIUM_ALLOWED_HOSTS": plan.settings.allowed_hosts or "",
            "ACTINIUM_TOKEN": "" if plan.settings.dashboard_sign_in else plan.viewer_token,
        },
    )


def _ray_check(plan: StackPlan) -> Check:
    host, _, port = plan.ray_address.rpartition(":")
    return checks.tcp(host, int(port))


PARTS: Sequence[Part] = (
    Part(
        name="ray",
        command=ray_command,
        ready=_ray_check,
        address=lambda plan: plan.ray_address,
        wanted=lambda plan: plan.own_ray,
    ),
    Part(
        name="api",
        after=(DATABASE,),
        command=api_command,
        ready=lambda plan: checks.service(f"{plan.url}/readyz"),
        address=lambda plan: plan.url,
    ),
    dispatcher_part("dispatcher"),
    Part(
        name="mlflow",
        after=(DATABASE,),
        command=mlflow_command,
        ready=lambda plan: checks.http(f"{plan.mlflow_url}/health"),
        address=lambda plan: plan.mlflow_url,
        wanted=lambda plan: plan.own_mlflow,
        nice=MIRROR_NICE,
    ),
    Part(
        name="sink",
        after=(DATABASE,),
        command=sink_command,
        ready=lambda plan: checks.pulse(ready_file(plan, "sink")),
        nice=MIRROR_NICE,
    ),
    Part(
        name="dashboard",
        after=("api",),
        command=dashboard_command,
        ready=lambda plan: checks.http(f"http://{LOOPBACK}:{plan.settings.dashboard_port}/_stcore/health"),
        address=lambda plan: plan.dashboard_url,
    ),
)


def parts_of(plan: StackPlan) -> Sequence[Part]:
    """The table, with as many more dispatchers as the settings ask for."""
    more = range(2, plan.settings.dispatchers + 1)
    return (*PARTS, *(dispatcher_part(f"dispatcher-{number}") for number in more))
