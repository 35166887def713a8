"""`make demo` after the installation, in a new home: seconds to the first frame and to the printed comparison.

python benchmarks/demo.py. The clock begins with studies/demo.sh, before anything of the stack runs. The first frame is
there when the API tells of it; the comparison when its last line is printed.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from actinium.client import Client
from actinium.errors import ActiniumError
from actinium.home import ClientFile

SCRIPT = Path(__file__).parents[1] / "studies" / "demo.sh"
LOOK_SECONDS = 0.2
AFTER_THE_COMPARISON = "SERVICE "
"""How the table begins that is printed next."""


def environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's own stack, and free ports."""
    ports = {f"ACTINIUM_{part}_PORT": "0" for part in ("API", "DASHBOARD", "MLFLOW", "RAY")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ACTINIUM_", "RAY_", "MLFLOW_"))}
    return {**clean, **ports, "ACTINIUM_HOME": str(home), "BIN": str(Path(sys.executable).parent), "DEMO_EXIT": "1"}


class FirstFrame:
    """Looks for the demo's first frame from a thread of its own; `at` is when it was seen."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._over = threading.Event()
        self.at: float | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self.at is None and not self._over.wait(LOOK_SECONDS):
            try:
                file = ClientFile.read(self._home)
                if file is not None:
                    with Client(file.url, file.token) as client:
                        if client.curves("demo", "evaluation_loss")["curves"]:
                            self.at = time.perf_counter()
            except ActiniumError:  # no stack, no study, or no frame yet
                continue

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()


def main() -> None:
    """One line with both times."""
    with tempfile.TemporaryDirectory(prefix="act-demo-") as folder:
        begun = time.perf_counter()
        frame = FirstFrame(Path(folder))
        printed: float | None = None
        command = ["bash", str(SCRIPT)]
        with subprocess.Popen(command, env=environment(Path(folder)), stdout=subprocess.PIPE, text=True) as demo:
            assert demo.stdout is not None
            last = begun
            for line in demo.stdout:
                if line.startswith(AFTER_THE_COMPARISON) and printed is None:
                    printed = last
                last = time.perf_counter()
                sys.stdout.write(line)
        frame.stop()
    assert demo.returncode == 0, f"the demo ended with {demo.returncode}"
    assert frame.at is not None and printed is not None
    print(f"bench demo first_frame={frame.at - begun:.1f} printed={printed - begun:.1f}")


if __name__ == "__main__":
    main()
