"""Child processes: no secret of the service reaches them, and their memory is bounded."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actinium.child import bound_memory, clean_environment
from actinium.study import expand, parse_study
from services.api import preflight
from services.settings import Settings

SECRETS = {
    "ACTINIUM_ADMIN_TOKEN": "act_secret",
    "ACTINIUM_DATABASE_URL": "postgresql://secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "PGPASSWORD": "secret",
}


@pytest.fixture(autouse=True)
def a_service_with_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_a_clean_environment_has_no_secret_and_finds_what_it_needs() -> None:
    environment = clean_environment(OMP_NUM_THREADS="1")
    assert not set(SECRETS) & set(environment) and "secret" not in str(environment)
    command = [sys.executable, "-c", "import os, actinium, services; print(os.environ['OMP_NUM_THREADS'])"]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_a_child_allocates_no_more_than_told() -> None:
    code = "import sys; sys.stdin.read(); kept = bytearray(int(sys.argv[1])); print(len(kept))"
    for size, fits in ((2**20, True), (2**29, False)):
        command = [sys.executable, "-c", code, str(size)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        bound_memory(child.pid, 2**28)
        said, _ = child.communicate(b"", timeout=60)
        assert (said == f"{size}\n".encode()) == fits


def test_the_preflights_process_holds_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its environment as the kernel shows it, not as we think that it was made."""
    seen: list[bytes] = []
    real = preflight.bound_memory

    def watched(pid: int, most: int) -> None:
        seen.append(Path(f"/proc/{pid}/environ").read_bytes())
        real(pid, most)

    monkeypatch.setattr(preflight, "bound_memory", watched)
    design: Any = expand(parse_study({"name": "s", "seeds": 1}))
    found = preflight.looked_at([cell.config for cell in design.cells], Settings(home=tmp_path, preflight_seconds=60.0))
    assert len(found) == 1 and found[0]["memory_bytes"] > 0
    assert seen and b"secret" not in seen[0] and b"PATH=" in seen[0]
