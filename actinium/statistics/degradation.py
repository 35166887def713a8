"""Small-batch degradation (SCIENCE D3): how much worse a network gets when the batch shrinks.

Errors [..., B, S]: B batch sizes, S seeds, other factors already averaged within the seed.
"""

import numpy as np

from actinium.statistics.intervals import FloatArray


def degradation(error: FloatArray, reference: int) -> FloatArray:
    """Delta(b, s) = Err(b, s) - Err(b_ref, s), [..., B, S]; its mean over seeds is the degradation at b."""
    return error - error[..., reference : reference + 1, :]


def difference_in_differences(degraded: FloatArray, control: FloatArray) -> FloatArray:
    """DiD(b, s) = Delta_n(b, s) - Delta_control(b, s): what the small batch does through the normalization n beyond
    what it does to the optimization itself, which group normalization shares.
    """
    return degraded - control


def area(degraded: FloatArray, batch_sizes: FloatArray) -> FloatArray:
    """Trapezoid of Delta over log2 b, [..., B, S] -> [..., S]; one doubling of the batch is one unit.

    NaN with fewer than two batch sizes.
    """
    if len(batch_sizes) < 2:
        return np.full((*degraded.shape[:-2], degraded.shape[-1]), np.nan)
    widths = np.diff(np.log2(batch_sizes))
    heights = (degraded[..., 1:, :] + degraded[..., :-1, :]) / 2.0
    total: FloatArray = (np.abs(widths)[:, None] * heights).sum(axis=-2)
    return total
