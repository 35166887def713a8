"""The house's import contracts (pyproject.toml), held by a test."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_run_one_way_and_every_room_has_its_place() -> None:
    """Every contract of the file is kept. In each package every room stands in one, or import-linter asks for it."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    placed = [name for contract in linter["contracts"] if contract.get("exhaustive") for name in contract["containers"]]
    assert sorted(placed) == sorted(linter["root_packages"])
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(linter['contracts'])} kept, 0 broken" in done.stdout
