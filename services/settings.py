"""What every service reads from its environment: `ACTINIUM_` and the field's name in capitals."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from actinium.home import PORTS, default_home
from actinium.study import MAX_TRIALS


class Settings(BaseSettings):
    """Frozen settings. Unset addresses mean: the local stack starts its own part. A port of 0 means any free one."""

    model_config = SettingsConfigDict(env_prefix="ACTINIUM_", frozen=True, extra="ignore", hide_input_in_errors=True)

    home: Path = Field(default_factory=default_home)
    """State, logs, the embedded database."""
    data: Path | None = None
    """Folder of dataset files; None: `home/data`."""

    admin_token: str | None = Field(default=None, repr=False)
    """An admin token to make known at the start (from .env); None: the stack makes one."""
    viewer_token: str | None = Field(default=None, repr=False)
    """The dashboard's token, made known likewise."""

    database_url: str | None = Field(default=None, repr=False)
    """postgresql+psycopg://...; None: the embedded server under `home`."""
    ray_address: str | None = None
    """host:port of a Ray cluster; None: the stack's own."""
    mlflow_url: str | None = None
    """http://... of an MLflow server; None: the stack's own."""
    mlflow_public_url: str | None = None
    """MLflow's address as a browser reaches it, where it differs from `mlflow_url`."""
    dashboard_url: str | None = None
    """The dashboard's address as a browser reaches it; None: the local one."""

    dashboard_sign_in: bool = False
    """Whether the local dashboard asks for a token, too; else whoever can open its address on this machine may read."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=PORTS["api"], ge=0, le=65535)
    dashboard_port: int = Field(default=PORTS["dashboard"], ge=0, le=65535)
    mlflow_port: int = Field(default=PORTS["mlflow"], ge=0, le=65535)
    ray_port: int = Field(default=PORTS["ray"], ge=0, le=65535)

    lease_seconds: float = Field(default=30.0, gt=0.0)
    """How long a dispatcher may be silent before its leased trials are queued again."""

    dispatchers: int = Field(default=1, ge=1, le=16)
    """How many dispatchers `up` starts. One does the work; a second goes on at once where it is killed."""
    checkpoints: str | None = None
    """Where packs in training are saved: a folder or an address that fsspec knows, reachable by every node under one
    name, and of this installation alone; None: `home/checkpoints`.
    """
    checkpoint_seconds: float = Field(default=60.0, gt=0.0)
    """How often a pack in training is saved."""

    pack_silence_seconds: float = Field(default=21_600.0, gt=0.0)
    """A pack that sends neither a frame nor a checkpoint for so long is taken to hang: its actor is killed, and its
    trials are queued again.
    """
    min_free_bytes: int = Field(default=512 * 2**20, ge=0)
    """With less room than this on the disk of `home` no trial is begun; those in training go on."""

    owner_running_trials: int | None = Field(default=None, ge=1)
    """How many trials of one owner are trained at once, over all dispatchers; None: as many as there is room for."""
    owner_queued_trials: int | None = Field(default=None, ge=1)
    """How many trials of one owner may be queued; what would be more is answered 429. None: any number."""
    owner_studies: int | None = Field(default=10_000, ge=1)
    owner_trials: int | None = Field(default=2_000_000, ge=1)
    owner_dataset_bytes: int | None = Field(default=20 * 2**30, ge=1)
    """What one owner may keep in all, admins excepted: studies, their trials, bytes of datasets; more is answered 403
    until something is deleted. None: any amount.
    """
    submitter_priority: int = Field(default=10, ge=-100, le=100)
    """The highest priority that submitters may give. Studies of a higher one take the slots of others' at work: with
    the rest of the scale, to 100, an admin can always put a study first. 0: submitters put nothing before what others
    sent.
    """

    failed_attempts_per_minute: int = Field(default=60, ge=0)
    """Tokens that open nothing from one address; more are answered 429. 0: any number."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Requests with one token; more are answered 429. 0: any number."""
    allowed_hosts: str | None = None
    """Names under which browsers reach API and dashboard, with commas between, beside addresses, names without a dot
    and this machine's own; `.example.org` stands for all below it. A request under another name is answered 421.
    """
    proxies: str | None = None
    """Addresses or networks, with commas between, whose X-Forwarded-For says from where a request comes."""

    oidc_issuer: str | None = None
    """An OpenID Connect provider whose identity tokens are accepted; None: none."""
    oidc_audience: str | None = None
    """The client id for which they must be made."""
    oidc_claim: str = "email"
    """The claim that holds the person's name: it must equal the name of a token of ours. `email` counts only where the
    provider says that it has verified the address.
    """

    max_body_bytes: int = Field(default=1_000_000, ge=1)
    """Largest request body; a larger one is answered 413."""
    body_seconds: float = Field(default=60.0, gt=0.0)
    """How long a request body may take to arrive; a slower one is answered 408."""
    max_dataset_bytes: int = Field(default=256 * 2**20, ge=1)
    """Largest file of a dataset; a larger one is answered 413."""
    dataset_seconds: float = Field(default=1800.0, gt=0.0)
    """How long a dataset's file may take to arrive."""
    max_dataset_array_bytes: int = Field(default=2**30, ge=1)
    """Largest inputs of a dataset, as the float32 that they are trained on; larger ones are answered 413."""
    max_trials: int = Field(default=MAX_TRIALS, ge=1)
    """Largest grid of one study, cells times seeds before exclusions."""
    preflight_networks: int = Field(default=64, ge=0)
    """How many different networks of a study that is only tried out are looked at."""
    preflight_seconds: float = Field(default=15.0, gt=0.0)
    """How long that may take; what is not ready then is left out."""
    preflight_bytes: int = Field(default=2 * 2**30, ge=2**28)
    """How much memory that may allocate."""
    max_nesting: int = Field(default=32, ge=4)
    """Deepest nesting of a JSON body."""
    pool_size: int = Field(default=10, ge=1)
    """Database connections of the API."""
    event_seconds: float = Field(default=0.25, gt=0.0)
    """How often an event stream looks for news."""

    def data_root(self) -> Path:
        """Where dataset files are looked for."""
        return self.data if self.data is not None else self.home / "data"

    def checkpoint_address(self) -> str:
        """Where packs in training are saved, as every process reads it."""
        address = self.checkpoints or str(self.home / "checkpoints")
        return address if "://" in address else str(Path(address).expanduser().absolute())

    def dashboard_link(self) -> str:
        """The dashboard's address as a browser reaches it."""
        return (self.dashboard_url or f"http://127.0.0.1:{self.dashboard_port}").rstrip("/")

    def mlflow_link(self) -> str:
        """MLflow's address as a browser reaches it."""
        return (self.mlflow_public_url or self.mlflow_url or f"http://127.0.0.1:{self.mlflow_port}").rstrip("/")
