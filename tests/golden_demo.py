"""Whether a change keeps every bit: what the demo study, and a study with every probe, come to, as SHA-256 digests.

    python tests/golden_demo.py BEFORE.json              # in a checkout without the change
    python tests/golden_demo.py AFTER.json               # in one with it, on the same machine
    python tests/golden_demo.py --compare BEFORE.json AFTER.json

The bits of training are those of one machine and one build of PyTorch, so that no such file is kept in the tree; the
digests of configs are the same everywhere, and a test holds them.
"""

import argparse
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in one order; it must be said before torch is imported

import numpy as np
import pandas as pd
import torch
import yaml

from actinium.frame import LaneFinished, PackFrames
from actinium.report import Report, report_json
from actinium.statistics.report import build_report
from actinium.study import Design, expand, parse_study
from actinium.trial import TrialConfig
from workers.training.train import pack_layout, train_pack

DEMO = Path(__file__).parents[1] / "studies" / "demo.yaml"
SEEDS = 3
"""Of the demo's nine."""
LANES = 16
"""Of the widest pack."""
EVERY_PROBE: dict[str, Any] = {
    "name": "every-probe",
    "task": {"dataset": "digits"},
    "model": {"kind": "cnn", "width": 4},
    "training": {"epochs": 2, "batch_size": 16},
    "factors": {
        "activation": ["relu", "prelu", "crelu", "tanh"],
        "normalization": ["none", "batch", {"name": "batch", "ghost_batch_size": 4}, "batch_renorm", "layer"],
    },
    "probes": {
        "unit_states": {},
        "sparsity": {},
        "spectrum": {},
        "distributions": {"of": "both"},
        "input_drift": {},
        "covariate_shift": {},
        "weights": {},
        "statistic_error": {},
        "filters": {},
    },
    "seeds": 2,
}


def demo(seeds: int) -> Design:
    """The study that ships, with fewer seeds."""
    return expand(parse_study({**yaml.safe_load(DEMO.read_text(encoding="utf-8")), "seeds": seeds}))


def digest(texts: Iterable[str]) -> str:
    """Of all the texts together."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def text_of(document: Any) -> str:
    """A document as the same text each time, every digit of its numbers included."""
    return json.dumps(document, sort_keys=True, default=str)


class Golden:
    """A study's trials as they end, pack after pack."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.frames: dict[str, Any] = defaultdict(hashlib.sha256)
        """By series, and of which lanes at which steps there are any."""
        self.summaries: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.curves: list[tuple[int, int, float]] = []

    def train(self) -> None:
        """Trains everything, in an order that the design alone decides."""
        for trials in packs(self.design):
            self._train(trials)

    def _train(self, trials: Sequence[tuple[int, int, TrialConfig]]) -> None:
        configs = [config for _, _, config in trials]
        series = pack_layout(configs[0]).series
        loss, evaluations = series.index("evaluation_loss"), configs[0].evaluation_steps()
        for event in train_pack(configs, clock=lambda: 0.0):
            if isinstance(event, PackFrames):
                self.frames["lanes and steps"].update(text_of([*event.lanes, event.step]).encode())
                for name, values in zip(series, np.ascontiguousarray(event.values.T), strict=True):
                    self.frames[name].update(values.tobytes())
                for lane, values in zip(event.lanes, event.values, strict=True):
                    if event.step in evaluations:
                        self.curves.append((trials[lane][0], event.step, float(values[loss])))
            elif isinstance(event, LaneFinished):
                number, cell, config = trials[event.lane]
                summary = event.summary
                left = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in event.artifacts.items()}
                self.summaries.append(text_of([number, summary.model_dump(mode="json"), left]))
                found = {"outcome": summary.outcome.value, "steps": summary.steps, **summary.metrics}
                who = {"trial_id": number, "cell": cell, "seed": config.seed, "state": "succeeded"}
                self.rows.append({**who, **found})

    def report(self) -> Report:
        """The study's report."""
        return build_report(
            study_id=1,
            revision=1,
            spec=self.design.spec,
            cells=[(cell.index, cell.cell, cell.config) for cell in self.design.cells],
            trials=pd.DataFrame(self.rows),
            curves=pd.DataFrame(self.curves, columns=["trial_id", "step", "value"]).sort_values(["trial_id", "step"]),
        )

    def document(self) -> dict[str, Any]:
        """The digests of everything."""
        return {
            "trials": len(self.rows),
            "configs": digest(config.digest() for _, config in self.design.trials()),
            "frames": {name: sha256.hexdigest() for name, sha256 in self.frames.items()},
            "summaries": digest(sorted(self.summaries)),
            "report": by_name(json.loads(report_json(self.report()))),
        }


def by_name(part: Any) -> Any:
    """A digest for every name in a document; in a list of documents, for all values of a name together."""
    if isinstance(part, dict):
        return {name: by_name(value) for name, value in part.items()}
    if isinstance(part, list) and part and all(isinstance(one, dict) for one in part):
        names = dict.fromkeys(name for one in part for name in one)
        return {name: by_name([one[name] for one in part if name in one]) for name in names}
    return digest([text_of(part)])


def packs(design: Design) -> Iterator[list[tuple[int, int, TrialConfig]]]:
    """Each trial's number, cell and config, in packs."""
    by_key: dict[str, list[tuple[int, int, TrialConfig]]] = defaultdict(list)
    for number, (cell, config) in enumerate(design.trials(), start=1):
        by_key[config.pack_key()].append((number, cell.index, config))
    for trials in by_key.values():
        yield from (trials[first : first + LANES] for first in range(0, len(trials), LANES))


def measure() -> dict[str, Any]:
    """Both studies' digests."""
    torch.set_num_threads(1)
    found = {}
    for name, design in (("demo", demo(SEEDS)), ("every probe", expand(parse_study(EVERY_PROBE)))):
        golden = Golden(design)
        golden.train()
        found[name] = golden.document()
    return found


def leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """What a document says, with the way there."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name} / ")
        else:
            yield f"{path}{name}", value


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not the same in both, a line each."""
    old, new = dict(leaves(before)), dict(leaves(after))
    return [
        *(f"differs: {path}" for path in old if path in new and old[path] != new[path]),
        *(f"gone: {path}" for path in old if path not in new),
        *(f"new: {path}" for path in new if path not in old),
    ]


def main() -> int:
    """Measures, or compares; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", nargs="?", type=Path, help="where to write the digests")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="two such files")
    given = parser.parse_args()
    if given.compare:
        before, after = (json.loads(path.read_text(encoding="utf-8")) for path in given.compare)
        found = differences(before, after)
        print("\n".join(found) or "the same bits")
        return 1 if found else 0
    if given.out is None:
        parser.error("give a file to write, or --compare BEFORE AFTER")
    golden = measure()
    given.out.write_text(json.dumps(golden, indent=1), encoding="utf-8")
    for name, document in golden.items():
        told = {part: digest([text_of(value)])[:16] for part, value in document.items() if part != "trials"}
        print(f"{name}: {document['trials']} trials,", ", ".join(f"{part} {short}" for part, short in told.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
