"""The kernels of the first convolution as tiles, side by side on one scale."""

import math

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.charts.ground import grounded

TILE = 56
"""Width and height in pixels of a kernel."""


def mosaic(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """[rows, columns, C] of kernels [F, C, k, k], in reading order; NaN between tiles and behind the last."""
    count, channels, side, _ = kernels.shape
    wide = math.ceil(math.sqrt(2 * count))
    high = math.ceil(count / wide)
    tiles = np.full((high * wide, side + 1, side + 1, channels), np.nan, dtype=np.float32)
    tiles[:count, :side, :side] = kernels.transpose(0, 2, 3, 1)
    rows = tiles.reshape(high, wide, side + 1, side + 1, channels).transpose(0, 2, 1, 3, 4)
    return rows.reshape(high * (side + 1), wide * (side + 1), channels)[:-1, :-1]


def tiles(kernels: NDArray[np.float32]) -> go.Figure:
    """Kernels [F, C, k, k] as an image. Three channels are drawn in colour, grey where a weight is zero; of any other
    number of channels the mean is drawn, red above zero and blue below.
    """
    image = mosaic(kernels)
    largest = float(np.abs(kernels).max()) or 1.0
    if image.shape[2] == 3:
        shades = np.concatenate([127.5 + 127.5 * image / largest, np.full((*image.shape[:2], 1), 255.0)], axis=2)
        shades[np.isnan(image).any(axis=2)] = 0.0  # nothing there: the page shows through
        trace: go.Image | go.Heatmap = go.Image(z=shades, colormodel="rgba", hoverinfo="skip")
    else:
        trace = go.Heatmap(
            z=image.mean(axis=2),
            colorscale="RdBu_r",
            zmin=-largest,
            zmax=largest,
            hovertemplate="%{z:.3g}<extra></extra>",
        )
    figure = go.Figure(trace)
    pixels = TILE / kernels.shape[2]
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")
    figure.update_layout(height=round(image.shape[0] * pixels) + 20, margin={"l": 8, "r": 8, "t": 10, "b": 10})
    return grounded(figure)
