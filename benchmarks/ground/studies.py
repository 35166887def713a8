"""Finished studies, written as the service writes them, without the training: frames by COPY, then `complete_many`.

The grid is SCIENCE's core factorial (ten activations, four normalizations, four initializations, two depths), crossed
with learning rates and, for the large one, batch sizes; eleven seeds. Series and metrics are those that the default
probes give: twelve a layer, and eighteen of the network.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from actinium.frame import Frame, Layout, Outcome, TrialSummary, layer_series
from actinium.job import Attempt, StudyId, TrialId
from actinium.study import Design, expand, parse_study
from actinium.trial import TrialConfig
from db import frames, queue, studies

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEEDS = 11
CORE: dict[str, list[Any]] = {
    "activation": ["relu", "leaky_relu", "prelu", "srelu", "elu", "gelu", "silu", "selu", "tanh", "sigmoid"],
    "normalization": ["none", "batch", "layer", {"name": "group", "groups": 8}],
    "initialization": [{"name": "normal", "std": 0.01}, {"name": "normal", "std": 1.0}, "xavier", "he"],
    "model.depth": [3, 10],
}
LEARNING_RATES = [0.01, 0.03, 0.1]
MORE_LEARNING_RATES = [0.003, 0.01, 0.03, 0.1, 0.3]
BATCH_SIZES = [2, 4, 8, 16, 32, 64]

OF_LAYERS = (
    *("dead_unit_rate", "born_dead_rate", "died_rate", "transient_rate", "revived_rate", "off_rate"),
    *("dormant_rate_0.025", "saturated_rate", "activation_rate", "effective_rank", "activation_mean", "gradient_norm"),
)
OF_NETWORKS = (
    *("train_loss", "validation_loss", "validation_accuracy", "gradient_slope", *OF_LAYERS[:-2]),
    *("initial_loss", "best_validation_loss", "test_loss", "test_error"),
)
FRAMES = 24
DIVERGED = 0.03
"""The share of trials that diverge half way."""


def core(name: str, *, seeds: int = SEEDS, **factors: list[Any]) -> Design:
    """The core factorial, crossed with more factors (`training__batch_size` for `training.batch_size`)."""
    more = {path.replace("__", "."): levels for path, levels in factors.items()}
    document = {
        "name": name,
        "model": {"kind": "mlp", "depth": 3, "width": 128},
        "factors": {**CORE, **more},
        "seeds": seeds,
        "reference": {"activation": "relu", "normalization": "none", "initialization": "he"},
    }
    return expand(parse_study(document), max_trials=1_000_000)


def finish(engine: Engine, design: Design, *, batch: int = 500) -> StudyId:
    """The study, every trial of it succeeded at its first attempt."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        study_id = studies.create(connection, design, owner="ada", now=NOW)
        leased = text(
            "UPDATE jobs SET state = 'leased', attempt = 1, holder = 'd', leased_at = :now, lease_expires_at = :now "
            "WHERE study_id = :study_id"
        )
        connection.execute(leased, {"study_id": study_id, "now": NOW})
        ordered = text("SELECT id FROM trials WHERE study_id = :study_id ORDER BY place")
        ids = connection.execute(ordered, {"study_id": study_id}).scalars().all()
    rng = np.random.default_rng(0)
    for depth in CORE["model.depth"]:
        layout = Layout(series=tuple(series(depth)))
        chosen = [(TrialId(i), config) for i, (_, config) in zip(ids, design.trials(), strict=True)]
        deep = ((i, config) for i, config in chosen if config.model.depth == depth)
        while pack := list(islice(deep, batch)):
            _train(engine, pack, layout, rng)
    return study_id


def series(depth: int) -> Iterator[str]:
    """The series of a network of so many hidden layers."""
    yield from OF_NETWORKS[:-4]
    for layer in range(1, depth + 1):
        yield from (layer_series(name, layer) for name in OF_LAYERS)


def _train(
    engine: Engine, pack: Sequence[tuple[TrialId, TrialConfig]], layout: Layout, rng: np.random.Generator
) -> None:
    names = [*layout.series, *OF_NETWORKS[-4:]]
    arrived: list[Frame] = []
    results: list[tuple[Attempt, TrialSummary]] = []
    for trial_id, config in pack:
        diverged = bool(rng.random() < DIVERGED)
        steps = np.unique(np.geomspace(1, config.steps(), FRAMES - 1).astype(int)).tolist()
        steps = [0, *(steps[: len(steps) // 2] if diverged else steps)]
        values = rng.random((len(steps), len(layout.series)), dtype=np.float32)
        values[:, 1] = 0.1 + 2.2 * np.exp(-3.0 * np.array(steps) / config.steps()) + 0.05 * values[:, 1]
        if diverged:
            values[-1, 1] = np.nan
        for at, (step, row) in enumerate(zip(steps, values, strict=True)):
            arrived.append(Frame(trial_id=trial_id, attempt=1, step=step, time=0.1 * at, values=row))
        final = [*values[-1].tolist(), *rng.random(4).tolist()]
        summary = TrialSummary(
            outcome=Outcome.DIVERGED if diverged else Outcome.CONVERGED,
            steps=steps[-1],
            seconds=1.5,
            probe_seconds=0.1,
            metrics=dict(zip(names, final, strict=True)),
            probe_examples=360,
            parameters=43_658,
            pack_width=16,
            device="cpu",
        )
        results.append((Attempt(trial_id=trial_id, attempt=1), summary))
    with engine.begin() as connection:
        frames.write(connection, layout, arrived)
        finished = queue.complete_many(connection, now=NOW + timedelta(hours=1), results=results)
    assert len(finished) == len(pack)
