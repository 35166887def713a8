"""The step-0 preflight of a study that is only tried out: `workers.preflight` in a child process, with a time limit."""

import hashlib
import json
import math
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actinium.child import bound_memory, clean_environment
from actinium.levels.initializations import PROCEDURES
from actinium.study import Design
from actinium.trial import TrialConfig
from services.api.submissions import PreflightDocument
from services.settings import Settings

MOST_CELLS = 1000
"""Cells that a preflight lists: many cells may share one network."""
KEPT = 2048
"""Networks remembered."""

NOTABLE = 0.1
"""|ln factor| a layer from which on signals are said to vanish or explode (SCIENCE D4)."""

NOTABLE_DEPTH = 20
"""A factor is said of this many layers, or of as many as there are where that is more."""

NOTABLE_DECADES = 3.0
"""Powers of ten through all time steps from which on gradients are said to vanish or explode."""

BUSY = "another study's networks are being looked at; ask again in a few seconds"
LATE = "not all networks were ready in time (ACTINIUM_PREFLIGHT_SECONDS)"
FIRST = "only the first different networks are looked at (ACTINIUM_PREFLIGHT_NETWORKS)"
"""Why cells are left out of a preflight."""

NOTABLE_DEAD = 0.05
NOTABLE_BYTES = 8 * 2**30


def network_key(config: TrialConfig) -> str:
    """Equal for configs whose untrained networks, and memory, are the same."""
    named = {name: getattr(config, name) for name in ("task", "model", "activation", "normalization", "initialization")}
    words = [value.model_dump_json() for value in named.values()]
    return hashlib.sha256("\n".join([*words, str(config.training.batch_size)]).encode()).hexdigest()


def warnings_of(found: Mapping[str, Any]) -> list[str]:
    """What a person should know before the study runs, in sentences."""
    depth = max(NOTABLE_DEPTH, len(found["gradient_rms"]))
    said = [
        *_drift("gradients", found["backward_factor"], depth),
        *_drift("outputs", found["forward_factor"], depth),
    ]
    said += _drift_through_time(found.get("time_factor"), found.get("time_steps"))
    if any(value is None for value in found["forward_rms"]):
        said.append("outputs are not finite before any training")
    elif any(value is None for value in found["gradient_rms"]):
        said.append("gradients are not finite before any training")
    elif 0.0 in found["gradient_rms"]:
        said.append("gradients are exactly zero in some layer: nothing below it can learn")
    rate = found["born_dead_rate"]
    if rate is not None and rate >= NOTABLE_DEAD:
        said.append(f"{100 * rate:.0f}% of the units are born dead (K = {found['examples']} examples)")
    if found["memory_bytes"] >= NOTABLE_BYTES:
        said.append(f"a trial takes {found['memory_bytes'] / 2**30:.0f} GiB or more")
    if found["inputs"] == "normal":
        said.append("measured on normal noise: the dataset is not where the API runs")
    return said


def before_procedures(config: TrialConfig) -> list[str]:
    """A sentence for initializations that train: the preflight shows their starting network, training it takes too
    long.
    """
    level = config.initialization
    if level.name not in PROCEDURES:
        return []
    return [f"the network is shown as {level.parameters['start']} starts it, before {level.name} trains it"]


def _drift(what: str, factor: float | None, depth: int) -> list[str]:
    if factor is None or factor <= 0.0 or abs(math.log(factor)) <= NOTABLE:
        return []
    verb = "shrink" if factor < 1.0 else "grow"
    power = depth * math.log10(factor)
    return [f"{what} {verb} {factor:.2g}x a layer: at depth {depth} expect 1e{power:+.0f}".replace("e+", "e")]


def _drift_through_time(factor: float | None, steps: int | None) -> list[str]:
    if factor is None or factor <= 0.0 or steps is None or abs(steps * math.log10(factor)) <= NOTABLE_DECADES:
        return []
    verb = "shrink" if factor < 1.0 else "grow"
    power = f"1e{steps * math.log10(factor):+.0f}".replace("e+", "e")
    return [f"gradients {verb} {factor:.2g}x a time step: over {steps} steps expect {power}"]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a preflight shows of a study's cells; `missing` says why cells are left out, None where none is."""

    documents: Sequence[PreflightDocument]
    missing: str | None


class Preflight:
    """Looks at networks, one child process at a time, and remembers what was found."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, design: Design, settings: Settings) -> Looked:
        """The cells whose networks are among the first `preflight_networks` different ones and were ready in time.
        Never waits for another preflight: while one runs, only what is known already is shown.
        """
        keys = {cell.index: network_key(cell.config) for cell in design.cells}
        wanted: dict[str, TrialConfig] = {}
        for cell in design.cells:
            if len(wanted) < settings.preflight_networks or keys[cell.index] in wanted:
                wanted.setdefault(keys[cell.index], cell.config)
        known = dict(self._known)
        unknown = {key: config for key, config in wanted.items() if key not in known}
        missing = None
        if unknown and self._turn.acquire(blocking=False):
            try:
                self._learn(list(unknown), list(unknown.values()), settings)
                known = dict(self._known)
                self._forget()
            finally:
                self._turn.release()
            missing = LATE if any(key not in known for key in unknown) else None
        elif unknown:
            missing = BUSY
        documents = [
            PreflightDocument(cell=cell.cell, **found, warnings=[*warnings_of(found), *before_procedures(cell.config)])
            for cell in design.cells
            if keys[cell.index] in wanted and (found := known.get(keys[cell.index])) is not None
        ]
        cut = len(wanted) < len(set(keys.values())) or len(documents) > MOST_CELLS
        return Looked(documents=documents[:MOST_CELLS], missing=missing or (FIRST if cut else None))

    def _learn(self, keys: Sequence[str], configs: Sequence[TrialConfig], settings: Settings) -> None:
        for line in looked_at(configs, settings) if keys else []:
            self._known[keys[line.pop("place")]] = line

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def looked_at(configs: Sequence[TrialConfig], settings: Settings) -> list[dict[str, Any]]:
    """What the child process said until it ended or its time or memory was over; it is gone afterwards. It runs
    expressions that anybody may have written: it holds no secret, and no more memory than the settings say.
    """
    root = settings.data_root()
    request = {"configs": [config.model_dump(mode="json") for config in configs], "data_root": str(root)}
    command = [sys.executable, "-m", "workers.preflight"]
    environment = clean_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with subprocess.Popen(  # noqa: S603 - our own module, and nothing of the request on the command line
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        bound_memory(child.pid, settings.preflight_bytes)
        try:
            said, _ = child.communicate(json.dumps(request).encode(), timeout=settings.preflight_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            said, _ = child.communicate()
    whole = said.decode().splitlines(keepends=True)
    return [json.loads(line) for line in whole if line.endswith("\n")]
