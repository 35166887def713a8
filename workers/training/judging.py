"""What a network is judged by beside its losses while it trains, and what is said of it in the end (SCIENCE D2).

Legend: L lanes of the pack that are living, S series of a frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actinium.frame import Outcome
from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.probes import PackProbes, probe_series
from workers.probes.families import artifacts
from workers.training.batches import PackData
from workers.training.best import BestNetworks
from workers.training.evaluation import (
    evaluate,
    learned,
    precise_error,
    train_eval_gap,
    with_precise_statistics,
)
from workers.training.outcome import LaneRecord

EVALUATION_SERIES = ("train_loss", "evaluation_loss")
"""At every evaluation."""
JUDGED_SERIES = ("validation_loss", "validation_accuracy", "train_eval_gap")
"""Of the whole validation part, and of test batches."""
LOSS_SERIES = (*EVALUATION_SERIES, *JUDGED_SERIES)
"""Those of the training itself; the probes' stand behind them."""


def frame_series(config: TrialConfig) -> tuple[str, ...]:
    """All that a trial's frames measure, in order."""
    return (*LOSS_SERIES, *probe_series(config))


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is said of one trial at its end: outcome, the summary's metrics, and the arrays that it leaves. `asked`: the
    metrics that were looked for, whether or not this trial has them; by their versions a summary says which definitions
    its trial was measured by.
    """

    outcome: Outcome
    metrics: Mapping[str, float]
    asked: frozenset[str]
    artifacts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class Judge:
    """Judges the living lanes of a pack: what it is given belongs to the pack, which drops the lanes that leave.

    One network is judged in everything: the last one, or where the trial asks for it, that of the lowest evaluation
    loss.
    """

    def __init__(self, *, model: LaneModel, data: PackData, probes: PackProbes, best: BestNetworks) -> None:
        self._model, self._data, self._probes, self._best = model, data, probes, best
        self._config = model.configs[0]
        self._series = frame_series(self._config)

    def judged(self, networks: LaneModel) -> NDArray[np.float64]:
        """The values of JUDGED_SERIES, of these networks of all lanes: [L, 3]."""
        scores = evaluate(networks, self._data, self._data.validation)
        columns = [scores.loss, 1.0 - scores.error, train_eval_gap(networks, self._data)]
        found: NDArray[np.float64] = torch.stack([column.double() for column in columns], dim=1).cpu().numpy()
        return found

    def at_their_end(
        self, records: Sequence[LaneRecord], places: Sequence[int], values: NDArray[np.float32] | None = None
    ) -> list[Judgement]:
        """Of the lanes at `places`, which have been trained for as long as they are; `records` are all lanes'.

        `values` [L, S]: what a frame measured of the last networks; None where it did not measure everything.
        """
        networks = self._best.instead_of(self._model)
        if values is None or networks is not self._model:
            values = self._in_full(networks)
        accuracies = values[:, self._series.index("validation_accuracy")].tolist()
        constants = [record.constant for record in records]
        beyond = learned(networks, self._data, constants, [1.0 - accuracy for accuracy in accuracies])
        whole = self._probes.of_whole_trials()
        tested = evaluate(networks, self._data.tested(), self._data.test)
        precise = with_precise_statistics(networks, self._data)
        at_end: dict[str, Tensor] = {
            "test_loss": tested.loss,
            "test_error": tested.error,
            "precise_test_error": precise_error(precise, self._data),
            **tested.extra,
            **self._probes.by_other_statistics(networks, precise),
        }
        ends = torch.stack([column.double() for column in at_end.values()], dim=1).tolist()
        return [
            Judgement(
                outcome=records[place].outcome(learned=beyond[place]),
                metrics=records[place].metrics(
                    self._series, values[place], dict(zip(at_end, ends[place], strict=True)) | whole[place]
                ),
                asked=frozenset((*self._series, *at_end, *whole[place])),
                artifacts=artifacts(self._config, networks, place),
            )
            for place in places
        ]

    def lost(self, records: Sequence[LaneRecord], places: Sequence[int], before: LaneModel) -> list[Judgement]:
        """Of the lanes at `places`, whose training is lost: what such a trial counts as, what became of its units until
        the last point of its trajectory, and apart from that the test error of `before`, the networks as they were at
        the evaluation before. It leaves no arrays: what only a network can have, it has not.
        """
        whole = self._probes.of_whole_trials()
        errors = evaluate(before, self._data.tested(), self._data.test).error.tolist()
        return [
            Judgement(
                outcome=Outcome.DIVERGED,
                metrics=records[place].metrics(
                    self._series,
                    records[place].fates,
                    {**whole[place], **records[place].as_lost(), "test_error_before_divergence": errors[place]},
                ),
                asked=frozenset((*self._series, *records[place].as_lost(), *whole[place])),
            )
            for place in places
        ]

    def _in_full(self, networks: LaneModel) -> NDArray[np.float32]:
        """Everything that a frame can measure but for evaluations, of these networks of all lanes: [L, S]."""
        evaluations = np.full((len(networks.configs), len(EVALUATION_SERIES)), np.nan)
        probed = self._probes.measure_all(networks)
        return np.concatenate([evaluations, self.judged(networks), probed], axis=1).astype(np.float32)
