"""A second dispatcher beside the stack's own, so that leases which one lets expire are rescued by the other."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
from chaos.victims import Quarry

from services.stack import processes
from services.stack.plan import python


@dataclass(kw_only=True)
class Understudy:
    """One round is `run_once`: start it, or start it again."""

    quarry: Quarry
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def run_once(self) -> None:
        """Start it with the environment of the stack's dispatcher and the stack's mark, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        model = self.quarry.part("dispatcher")
        if model is None:
            return
        try:
            environment = model.environ()
        except psutil.Error:
            return
        environment.pop("ACTINIUM_READY_FILE", None)
        self._process = processes.start(
            processes.Command(arguments=python("-m", "services.dispatcher"), environment=environment),
            mark=f"{self.quarry.instance()}/understudy",
            log_file=self.log,
            cwd=self.quarry.home / "run",
        )

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
