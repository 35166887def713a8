"""Every figure that `make demo` prints, derived again from the trials' frames (and of what frames do not hold, their
summaries) by slow code of a few lines that shares nothing with the report's.

The demo's study is trained here with fewer seeds and epochs. Ends of intervals are not derived again: that they cover
is shown by simulation (`tests/unit/test_statistics_coverage.py`), and Wilson's are, by his formula.
"""

import itertools
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from actinium.frame import LaneFinished, PackFrames, TrialSummary
from actinium.paths import cell_label
from actinium.report import Report
from actinium.statistics.report import build_report
from actinium.study import Design, expand, parse_study
from actinium.terminal.compare import Comparison, comparisons
from actinium.trial import TrialConfig
from workers.training.train import pack_layout, train_pack

pytestmark = pytest.mark.slow
DEMO = Path(__file__).parents[2] / "studies" / "demo.yaml"
SEEDS, EPOCHS = 3, 3
LANES = 16
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trial as it left its frames: `frames` by step, each a value by series."""

    cell: Mapping[str, Any]
    config: TrialConfig
    summary: TrialSummary
    frames: Mapping[int, Mapping[str, float]]

    def series(self, name: str) -> dict[int, float]:
        """A series by step, where it was measured."""
        return {step: row[name] for step, row in self.frames.items() if not math.isnan(row[name])}

    @property
    def learned(self) -> bool:
        """Whether it did not collapse."""
        return self.summary.outcome in ("converged", "learned")

    @property
    def epochs(self) -> float:
        """Steps of an epoch."""
        return self.config.steps() / self.config.training.epochs


@pytest.fixture(scope="module")
def design() -> Design:
    """The demo's, made shorter."""
    document = yaml.safe_load(DEMO.read_text())
    document["training"]["epochs"] = EPOCHS
    return expand(parse_study(document | {"seeds": SEEDS}))


@pytest.fixture(scope="module")
def runs(design: Design) -> list[Run]:
    """All of its trials, in packs as the service makes them."""
    torch.set_num_threads(1)
    packs: dict[str, list[tuple[Mapping[str, Any], TrialConfig]]] = {}
    for cell, config in design.trials():
        packs.setdefault(config.pack_key(), []).append((cell.cell, config))
    found: list[Run] = []
    for trials in packs.values():
        for first in range(0, len(trials), LANES):
            part = trials[first : first + LANES]
            names = pack_layout(part[0][1]).series
            frames: list[dict[int, dict[str, float]]] = [{} for _ in part]
            summaries: dict[int, TrialSummary] = {}
            for event in train_pack([config for _, config in part]):
                if isinstance(event, PackFrames):
                    for lane, row in zip(event.lanes, event.values.tolist(), strict=True):
                        frames[lane][event.step] = dict(zip(names, row, strict=True))
                elif isinstance(event, LaneFinished):
                    summaries[event.lane] = event.summary
            found += [
                Run(cell=cell, config=config, summary=summaries[lane], frames=frames[lane])
                for lane, (cell, config) in enumerate(part)
            ]
    return found


@pytest.fixture(scope="module")
def report(design: Design, runs: Sequence[Run]) -> Report:
    """As the service would make it."""
    index = {cell_label(cell.cell): cell.index for cell in design.cells}
    trials = pd.DataFrame(
        [
            {
                "trial_id": number,
                "cell": index[cell_label(run.cell)],
                "seed": run.config.seed,
                "state": "succeeded",
                "outcome": run.summary.outcome.value,
                "steps": run.summary.steps,
                **run.summary.metrics,
            }
            for number, run in enumerate(runs)
        ]
    )
    curves = pd.DataFrame(
        [
            (number, step, loss)
            for number, run in enumerate(runs)
            for step, loss in run.series("evaluation_loss").items()
        ],
        columns=["trial_id", "step", "value"],
    )
    cells = [(cell.index, cell.cell, cell.config) for cell in design.cells]
    return build_report(study_id=1, revision=1, spec=design.spec, cells=cells, trials=trials, curves=curves)


@pytest.fixture(scope="module")
def printed(report: Report) -> dict[str, Comparison]:
    """The tables by title."""
    return {table.title: table for table in comparisons(report)}


def of_cell(runs: Sequence[Run], label: str) -> list[Run]:
    """The trials of a printed cell, by seed."""
    wanted = label.replace(" · ", "·")
    found = sorted((run for run in runs if cell_label(run.cell) == wanted), key=lambda run: run.config.seed)
    assert len(found) == SEEDS, label
    return found


def first_number(text: str) -> float | None:
    """The estimate of a printed figure: what stands before its interval."""
    found = NUMBER.search(text.split("[")[0])
    return None if found is None else float(found.group())


def same(text: str, value: float | None, *, digits: int = 1) -> bool:
    """Whether a printed figure is this number, rounded as it is printed."""
    shown = first_number(text)
    if shown is None or value is None:
        return shown is value
    return abs(shown - value) <= 0.5000001 * 10.0**-digits


def wilson(events: int, count: int) -> tuple[float, float]:
    """Wilson 1927, by his formula, at 95%."""
    z, p = 1.959963984540054, events / count
    middle, reach = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (middle - reach) / (1 + z * z / count), (middle + reach) / (1 + z * z / count)


def assert_wilson(text: str, events: int, count: int) -> None:
    """That a printed share and both ends of its interval are right."""
    low, high = wilson(events, count)
    shown = [float(number) for number in NUMBER.findall(text)]
    assert shown == pytest.approx([100 * events / count, 100 * max(low, 0), 100 * min(high, 1)], abs=0.0501), text


def target_of(runs: Sequence[Run]) -> float:
    """The median over the reference cell's first three seeds of the evaluation loss at half the budget."""
    at_half = []
    for run in of_cell(runs, "relu·none·batch_size=64")[:3]:
        losses = run.series("evaluation_loss")
        at_half.append(losses[max(step for step in losses if step <= run.config.steps() / 2)])
    return statistics.median(at_half)


def epochs_to(run: Run, target: float) -> float:
    """The middle of the two evaluations between which the first of two neighbouring losses at the target lies."""
    losses = run.series("evaluation_loss")
    steps = sorted(losses)
    if run.summary.outcome == "diverged":
        return math.inf
    for place, (step, following) in enumerate(itertools.pairwise(steps)):
        if losses[step] <= target and losses[following] <= target:
            before = steps[place - 1] if place else 0
            return (before + step) / 2 / run.epochs
    return math.inf


def test_dead_units(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    rows = printed["Dead units at the end of training"].rows
    assert len(rows) == len({cell_label(run.cell) for run in runs})
    for label, dead, born, died, n in rows:
        own = of_cell(runs, label)
        ends, starts = [], []
        for run in own:
            rates = run.series("dead_unit_rate")
            starts.append(rates[0])
            ends.append(rates[max(rates)])
        assert same(dead, 100 * statistics.fmean(ends)), label
        assert same(born, 100 * statistics.fmean(starts)), label
        lasting = [run.summary.metrics["died_rate"] for run in own if "died_rate" in run.summary.metrics]
        assert same(died, 100 * statistics.fmean(lasting) if lasting else None), label
        for run in own:
            rates = run.series("dead_unit_rate")
            last_fifth = [rate for step, rate in rates.items() if step > 0.8 * max(rates)]
            assert run.summary.metrics.get("died_rate", 0.0) <= min(last_fifth) + 1e-6, "no more than were ever dead"
        assert int(n) == SEEDS


def test_convergence(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    table = printed["Convergence"]
    target = target_of(runs)
    assert f"{target:.4g}" in table.note
    for label, epochs, reached, collapsed, _ in table.rows:
        own = of_cell(runs, label)
        times = [epochs_to(run, target) for run in own]
        restricted = [min(time, run.config.training.epochs) for time, run in zip(times, own, strict=True)]
        assert same(epochs, statistics.fmean(restricted), digits=2), label
        assert_wilson(reached, sum(math.isfinite(time) for time in times), len(own))
        assert_wilson(collapsed, sum(not run.learned for run in own), len(own))


def test_errors(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    (table,) = [table for table in printed.values() if table.columns[1:3] == ("all", "learned")]
    for label, everybody, learned, collapsed, _ in table.rows:
        own = of_cell(runs, label)
        assert same(everybody, 100 * statistics.fmean(run.summary.metrics["test_error"] for run in own)), label
        some = [run.summary.metrics["test_error"] for run in own if run.learned]
        assert same(learned, 100 * statistics.fmean(some) if 0 < len(some) < len(own) else None), label
        assert_wilson(collapsed, len(own) - len(some), len(own))
        for run in own:
            last = run.series("validation_accuracy")
            if run.summary.outcome != "diverged":
                assert last[max(last)] == pytest.approx(run.summary.metrics["validation_accuracy"], abs=1e-6)


def placed(runs: Sequence[Run]) -> dict[tuple[str, str, int], list[Run]]:
    """The trials, by seed, of every activation, normalization and batch size."""
    found: dict[tuple[str, str, int], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.config.seed):
        place = (str(run.cell["activation"]), str(run.cell["normalization"]), int(run.cell["training.batch_size"]))
        found.setdefault(place, []).append(run)
    return found


def of_those_that_learned(cells: Mapping[tuple[str, str, int], Sequence[Run]], *place: Any) -> dict[int, float]:
    """By seed, the test error in a cell, without seeds at which the network did not learn."""
    activation, normalization, batch = place
    own = cells[activation, normalization, batch]
    return {seed: run.summary.metrics["test_error"] for seed, run in enumerate(own) if run.learned}


def test_small_batches(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    table, cells = printed["Small batches"], placed(runs)
    assert table.columns[:3] == ("activation", "normalization", "batch")
    assert len(table.rows) == len(cells)
    for activation, normalization, batch, error, degradation, n in table.rows:
        errors, largest = (of_those_that_learned(cells, activation, normalization, size) for size in (int(batch), 64))
        assert int(n) == len(errors), (activation, normalization, batch)
        assert same(error, 100 * statistics.fmean(errors.values()) if errors else None), (normalization, batch)
        worse = [errors[seed] - largest[seed] for seed in errors.keys() & largest.keys()]
        assert same(degradation, 100 * statistics.fmean(worse) if worse else None), (normalization, batch)


def test_small_batches_beyond_group_normalization(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    cells = placed(runs)
    rows = printed["Small batches, beyond group normalization"].rows
    assert rows
    for activation, normalization, batch, beyond, n, _ in rows:
        here, here_at_64, control, control_at_64 = (
            of_those_that_learned(cells, activation, name, size)
            for name in (normalization, "group")
            for size in (int(batch), 64)
        )
        common = here.keys() & here_at_64.keys() & control.keys() & control_at_64.keys()
        apart = [here[s] - here_at_64[s] - (control[s] - control_at_64[s]) for s in common]
        assert int(n) == len(common)
        assert same(beyond, 100 * statistics.fmean(apart) if apart else None), (activation, normalization, batch)


def test_questions(runs: Sequence[Run], printed: Mapping[str, Comparison]) -> None:
    """Differences of two levels, averaged over the other factors within each seed, and their exact p values."""
    target, cells = target_of(runs), placed(runs)

    def values(metric: str, run: Run) -> float:
        if metric == "epochs_to_target":
            return min(epochs_to(run, target), run.config.training.epochs)
        return run.summary.metrics[metric]

    def mean_of(metric: str, seed: int, **fixed: Any) -> float:
        order = ("activation", "normalization", "batch")
        wanted = {order.index(name): level for name, level in fixed.items()}
        chosen = [own[seed] for place, own in cells.items() if all(place[at] == level for at, level in wanted.items())]
        return statistics.fmean(values(metric, run) for run in chosen)

    asked = (
        ("dead_unit_rate", {"activation": "relu", "batch": 2}, {"activation": "elu", "batch": 2}),
        ("epochs_to_target", {"normalization": "batch", "batch": 64}, {"normalization": "none", "batch": 64}),
        ("test_error", {"normalization": "batch", "batch": 2}, {"normalization": "group", "batch": 2}),
    )
    rows = printed["What the study asks"].rows
    assert len(rows) == len(asked)
    ps = []
    for (metric, first, second), (question, difference, _, n, _) in zip(asked, rows, strict=True):
        assert question.startswith(metric)
        sides = [[mean_of(metric, seed, **side) for seed in range(SEEDS)] for side in (first, second)]
        apart = [here - there for here, there in zip(*sides, strict=True)]
        mean = statistics.fmean(apart)
        if metric == "epochs_to_target":  # the ratio of the restricted means
            assert same(difference, statistics.fmean(sides[0]) / statistics.fmean(sides[1]), digits=2), question
        else:
            assert same(difference, 100 * mean), question
        assert int(n) == SEEDS
        signs = np.array(np.meshgrid(*[[-1, 1]] * SEEDS)).reshape(SEEDS, -1)
        flipped = np.abs((signs * np.array(apart)[:, None]).mean(0))
        ps.append(float((flipped >= abs(mean) * (1 - 1e-9)).mean()))
    order = np.argsort(ps)
    corrected = np.maximum.accumulate([min(1.0, (len(ps) - rank) * ps[at]) for rank, at in enumerate(order)])
    for rank, at in enumerate(order):
        assert float(rows[at][2]) == pytest.approx(corrected[rank], abs=0.0005), rows[at]
