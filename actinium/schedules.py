"""At which steps of a training what is decided and measured: pure arithmetic over its length.

Three grids, each independent of the others, so that none of them can change what another one decides:

- `evaluation_steps`: where the loss on the evaluation examples is taken. Everything that a trial *decides* falls here:
  divergence, time to target, early stopping, the best network.
- `trajectory_steps`: where units are looked at for what becomes of them (born dead, died, transient, revived).
- `probe_steps`: where the study asked for measurements (`probes.schedule`). They decide nothing.

The first two go by the share of the training, or by epochs, that lies behind, so that arms of a study which differ in
batch size are decided at the same points.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

EVALUATIONS_AN_EPOCH = 4
"""While the loss falls fast: in the first DENSE_EPOCHS."""
DENSE_EPOCHS = 4
"""Epochs of dense evaluation; after them, every epoch has one."""
MOST_LATE_EVALUATIONS = 200
"""Evaluations behind the dense ones; longer trainings have them evenly spaced."""

LOGARITHMIC_POINTS = 19
"""Points of a trajectory over the first four fifths of the steps, step 0 among them."""
SETTLED_POINTS = 5
"""Linearly spaced points in the last fifth of the steps, the last step among them."""
TRAJECTORY_POINTS = LOGARITHMIC_POINTS + SETTLED_POINTS

SETTLED_SHARE = Fraction(1, 5)
"""The last part of the steps, throughout which a unit that died must be dead (SCIENCE D1)."""


def evaluation_steps(*, epochs: int, steps_per_epoch: int) -> list[int]:
    """The steps at which a trial is evaluated, ascending; step 0 and the last one included (SCIENCE D2).

    Linear in epochs: every quarter of an epoch in the first four, then at the end of every epoch (of more than 200
    later epochs, evenly spaced ones). An epoch of fewer than four steps is evaluated at each of them.
    """
    dense = min(epochs, DENSE_EPOCHS)
    quarters = [Fraction(number, EVALUATIONS_AN_EPOCH) for number in range(dense * EVALUATIONS_AN_EPOCH + 1)]
    later = epochs - dense
    points = min(later, MOST_LATE_EVALUATIONS)
    rest = [dense + Fraction(round(Fraction(later * number, points))) for number in range(1, points + 1)]
    return _distinct(epoch * steps_per_epoch for epoch in (*quarters, *rest))


def trajectory_steps(last: int) -> list[int]:
    """The steps at which the fates of units are decided, ascending; step 0 and `last` included (SCIENCE D1).

    Of 24 points, 19 are evenly spaced in log(step + 1) over the first four fifths of the steps, and 5 linearly in the
    last fifth: as many whatever the batch size. Trainings of fewer steps have every step.
    """
    return spread(last, points=TRAJECTORY_POINTS, spacing="log")


def settled(steps: Iterable[int], last: int) -> list[int]:
    """Those of the steps that lie in the last fifth of a training of `last` steps, without its first point."""
    return [step for step in steps if step > last * (1 - SETTLED_SHARE)] or [last]


def spread(last: int, *, points: int, spacing: Literal["log", "linear"]) -> list[int]:
    """`points` of the steps 0 to `last`, ascending and distinct, the first and the last included; every step where
    there are no more than `points`.

    `linear`: evenly spaced. `log`: evenly spaced in log(step + 1); of twice the settled points or more, the last five
    are evenly spaced over the last fifth in place of that.
    """
    if points > last:
        return list(range(last + 1))
    if spacing == "linear":
        return _distinct(Fraction(last * number, points - 1) for number in range(points))
    if points < 2 * SETTLED_POINTS:
        return _logarithmic(last, points)
    begin = int(last * (1 - SETTLED_SHARE))
    tail = _distinct(
        begin + Fraction((last - begin) * number, SETTLED_POINTS) for number in range(1, SETTLED_POINTS + 1)
    )
    if begin + 1 < points - len(tail):
        return spread(last, points=points, spacing="linear")
    return [*_logarithmic(begin, points - len(tail)), *tail]


def _logarithmic(last: int, points: int) -> list[int]:
    """`points` distinct steps from 0 to `last`, evenly spaced in log(step + 1); rounding merges the earliest ones, so
    free points are added until there are so many.
    """
    raw = points
    while True:
        chosen = {round((last + 1) ** (number / (raw - 1)) - 1) for number in range(raw)}
        if len(chosen) >= points:
            return sorted(chosen)
        raw += 1


def _distinct(places: Iterable[Fraction]) -> list[int]:
    return sorted({round(place) for place in places})


def spaced(steps: Sequence[int], points: int) -> frozenset[int]:
    """`points` of the steps, evenly spaced among them, the first and the last included."""
    last, gaps = len(steps) - 1, min(points, len(steps)) - 1
    return frozenset(steps[round(place * last / gaps)] for place in range(gaps + 1)) if gaps else frozenset(steps)
