"""How a layer's outputs h, or inputs z of its activation, are distributed over units, examples and positions (SCIENCE
D5): skewness, kurtosis, quantiles, and shares in fixed bins (`actinium.histogram`).

Of at most MOST_VALUES values a layer: beyond that every k-th counts, k coprime to the values of an example, so that all
units and positions have their turn; values are numbered example by example, and the same ones are taken in every lane.
Legend: L lanes, n values of a lane that are kept.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from actinium.histogram import EDGES, histogram_series
from actinium.trial import TrialConfig
from workers.probes.chunk import LayerChunk
from workers.probes.family import Family, Given, given
from workers.probes.gathering import Gathered, LayerLook
from workers.probes.schedule import averaged_examples, points_of

MOST_VALUES = 2**16
TENSORS: Mapping[str, Callable[[LayerChunk], Tensor]] = {
    "activation": lambda chunk: chunk.activation,
    "preactivation": lambda chunk: chunk.preactivation,
}
PERCENTS = (1, 15, 20, 50, 80, 85, 99)


def distribution_series(of: str) -> tuple[str, ...]:
    """The names of what is measured; `of` is activation or preactivation."""
    moments = [f"{of}_skew", f"{of}_kurtosis"]
    return *moments, *(f"{of}_quantile_{percent:02d}" for percent in PERCENTS), *histogram_series(of)


def stride_of(values: int, examples: int) -> int:
    """k: the least that leaves at most MOST_VALUES of the values of all examples, and is coprime to those of one."""
    stride = max(1, math.ceil(values * examples / MOST_VALUES))
    while math.gcd(stride, values) > 1:
        stride += 1
    return stride


class Distribution:
    """skew: m3 / m2^1.5. kurtosis: m4 / m2^2, 3 for a Gaussian. quantile_p: linear between order statistics."""

    def __init__(self, of: str, values: Callable[[LayerChunk], Tensor], examples: int, *, times: int = 1) -> None:
        """`values` of a chunk is the tensor meant; `examples` in all the parts to come. `times`: steps that rows of a
        chunk with the lanes first run through, each with all examples of the part.
        """
        self._of, self._values, self._examples, self._times = of, values, examples, times
        self._seen = 0
        self._kept: list[Tensor] = []

    def add(self, chunk: LayerChunk) -> None:
        """Keep a copy of this part's values, or every k-th of them."""
        values = self._values(chunk)
        if chunk.lane_axis == 0:
            by_lane = values.reshape(len(values), self._times, -1, *values.shape[2:]).transpose(1, 2)
        else:
            by_lane = values.transpose(0, 1)
        flat = by_lane.flatten(1)
        stride = stride_of(by_lane[0, 0].numel(), self._examples)
        self._kept.append(flat[:, -self._seen % stride :: stride].clone())
        self._seen += flat.shape[1]

    def by_layer(self) -> dict[str, Tensor]:
        """[L] float64 by series name; skew and kurtosis are NaN where all values are one."""
        values = torch.cat(self._kept, 1).double().sort(1).values
        found = [*_shape(values), *_quantiles(values).unbind(1), *_shares(values).unbind(1)]
        return dict(zip(distribution_series(self._of), found, strict=True))


def _wanted(config: TrialConfig) -> list[str]:
    """`activation`, `preactivation`, or both."""
    assert config.probes.distributions is not None
    of = config.probes.distributions.of
    return list(TENSORS) if of == "both" else [of]


def series(config: TrialConfig) -> list[Given]:
    """Moments, quantiles and bins of each tensor that is asked for."""
    return [given(name) for of in _wanted(config) for name in distribution_series(of)]


def gather(look: LayerLook) -> Gathered:
    """Values of one layer, which its distributions are made of."""
    _, positions = look.config.layers()[look.layer]
    times = positions if look.model.lane_axis == 0 else 1
    examples = averaged_examples(look.config)
    return Gathered(layers=tuple(Distribution(of, TENSORS[of], examples, times=times) for of in _wanted(look.config)))


DISTRIBUTIONS = Family(name="distributions", steps=points_of("distributions"), series=series, gather=gather)


def _shape(values: Tensor) -> tuple[Tensor, Tensor]:
    """Skewness and kurtosis, [L] each, of sorted values [L, n]."""
    centred = values - values.mean(1, keepdim=True)
    second, third, fourth = (centred.pow(power).mean(1) for power in (2, 3, 4))
    varies = values[:, -1] > values[:, 0]
    skew, kurtosis = third / second.pow(1.5), fourth / second.square()
    return torch.where(varies, skew, torch.nan), torch.where(varies, kurtosis, torch.nan)


def _quantiles(values: Tensor) -> Tensor:
    """[L, 7] of sorted values [L, n]."""
    places = torch.tensor(PERCENTS, dtype=torch.float64, device=values.device) / 100 * (values.shape[1] - 1)
    below = places.floor().long()
    above = (below + 1).clamp(max=values.shape[1] - 1)
    return torch.lerp(values[:, below], values[:, above], (places - below).expand(len(values), -1))


def _shares(values: Tensor) -> Tensor:
    """[L, 34] of sorted values [L, n]."""
    edges = torch.tensor(EDGES, dtype=torch.float64, device=values.device).repeat(len(values), 1)
    below = torch.searchsorted(values, edges)
    n = values.shape[1]
    ends = torch.nn.functional.pad(torch.nn.functional.pad(below, (1, 0)), (0, 1), value=n)
    return ends.diff(dim=1).double() / n
