"""Figures of the dashboard: what is drawn is what the report says, with the colours and labels it should have."""

import itertools
import json
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_made import cell_report, interval, report_of

from actinium.frame import layer_series
from actinium.histogram import BINS, EDGES
from actinium.report import DegradationCurve, DegradationPoint, Interval, Report, SmallBatch
from dashboard import palette
from dashboard.charts import completeness, curves, dots, histograms
from dashboard.charts.panels import LABEL_GAP, log_ticks, spread
from dashboard.grid import BASE, Encoding, Grid, default_encoding
from dashboard.tables import batch_rows, curve_rows, layer_rows, metric_rows, status_rows
from dashboard.words import percent

ACTIVATIONS = ("relu", "leaky_relu")
NORMALIZATIONS: tuple[Any, ...] = ("none", "batch", {"name": "group", "groups": 8})
BATCHES = (64, 2)
CELLS = [
    {"activation": a, "normalization": n, "training.batch_size": b}
    for a, n, b in itertools.product(ACTIVATIONS, NORMALIZATIONS, BATCHES)
]


@pytest.fixture
def grid() -> Grid:
    factors = {"activation": ACTIVATIONS, "normalization": NORMALIZATIONS, "training.batch_size": BATCHES}
    return Grid.of(CELLS, factors=factors)


def estimate(value: float, half: float = 0.05) -> Interval:
    return interval(value, value - half, value + half, 5)


def report() -> Report:
    cells = []
    for number, cell in enumerate(CELLS):
        dead = 0.0 if cell["activation"] == "leaky_relu" else 0.1 + number / 100
        metrics = {"dead_unit_rate": estimate(dead) if dead else interval(0.0, 0.0, 0.6, 5)}
        metrics |= {f"dead_unit_rate/layer_{layer:02d}": estimate(dead * layer) for layer in (1, 2)}
        cells.append(cell_report(cell, metrics))
    points = tuple(
        DegradationPoint(batch_size=b, error=estimate(0.1 + k / 10), degradation=estimate(k / 10), collapsed=0)
        for b, k in ((2, 1), (64, 0))
    )
    small = tuple(
        DegradationCurve(normalization=n, activation=None, points=points, area=estimate(0.0)) for n in NORMALIZATIONS
    )
    return report_of(
        cells,
        small_batch=SmallBatch(
            metric="test_error",
            reference_batch=64,
            estimand="fixed",
            area_batches=(2, 64),
            left_out=(),
            by_activation=(),
            curves=small,
            difference_in_differences=(),
        ),
    )


def lines(figure: go.Figure) -> list[Any]:
    return [trace for trace in figure.data if trace.fill is None]


def test_levels_stand_in_the_studys_order_and_numbers_in_theirs(grid: Grid) -> None:
    assert grid.levels["normalization"] == ("no normalization", "BatchNorm", "GroupNorm (groups=8)")
    assert grid.levels["training.batch_size"] == ("2", "64")


def test_a_factor_of_one_level_is_no_choice() -> None:
    grid = Grid.of([{"activation": "relu", "initialization": "he"}, {"activation": "elu", "initialization": "he"}])
    assert list(grid.levels) == ["activation"]
    assert grid.constant == {"initialization": "He"}


def test_a_cell_that_does_not_name_a_factor_is_at_the_base() -> None:
    grid = Grid.of([{"activation": "relu"}, {"activation": "elu", "model.depth": 8}])
    assert grid.frame()["model.depth"].tolist() == [BASE, "8"]


def test_the_default_encoding_holds_what_nothing_tells(grid: Grid) -> None:
    encoding = default_encoding(grid, reference={"activation": "relu"})
    assert (encoding.colour, encoding.facet) == ("normalization", "activation")
    assert encoding.held() == {"training.batch_size": "64"}
    assert len(encoding.cells()) == 6


def test_a_level_keeps_its_colour_whatever_is_shown(grid: Grid) -> None:
    whole = default_encoding(grid)
    part = Encoding(grid=grid, colour="normalization", shown={"normalization": ("GroupNorm (groups=8)",)})
    group = whole.colours()["GroupNorm (groups=8)"]
    figure = curves.by_layer(part.select(layer_rows(report(), "dead_unit_rate")), part)
    assert {trace.line.color for trace in figure.data} == {group}


def test_every_status_has_a_colour_and_a_sign() -> None:
    assert set(palette.STATUS_COLOURS) == set(palette.STATUS_SIGNS)
    assert len(set(palette.STATUS_COLOURS.values())) == len(palette.STATUS_COLOURS)


def test_by_layer_draws_each_estimate_with_its_interval(grid: Grid) -> None:
    encoding = default_encoding(grid)
    figure = curves.by_layer(encoding.select(layer_rows(report(), "dead_unit_rate")), encoding)
    assert len(figure.data) == 6
    first = figure.data[0]
    assert list(first.y) == pytest.approx([0.1, 0.2])
    assert list(first.error_y.array) == pytest.approx([0.05, 0.05])
    assert figure.layout.yaxis.tickformat == ".0%"
    titles = [a.text for a in figure.layout.annotations if a.text.startswith("<b>")]
    assert titles == ["<b>ReLU</b>", "<b>leaky ReLU</b>"]


def test_few_lines_are_labelled_directly_and_many_by_a_legend(grid: Grid) -> None:
    few = default_encoding(grid)
    figure = curves.by_layer(few.select(layer_rows(report(), "dead_unit_rate")), few)
    assert sum("BatchNorm" in (a.text or "") for a in figure.layout.annotations) == 2
    assert not any(trace.showlegend for trace in figure.data)
    many = Encoding(grid=grid, colour="normalization")
    figure = curves.by_layer(many.select(layer_rows(report(), "dead_unit_rate")), many)
    assert sum(bool(trace.showlegend) for trace in figure.data) == 12
    assert len({(t.line.color, t.line.dash) for t in figure.data}) == 12


def test_over_steps_draws_step_zero_on_a_logarithmic_axis(grid: Grid) -> None:
    encoding = Encoding(
        grid=grid, colour="normalization", shown={"activation": ("ReLU",), "training.batch_size": ("64",)}
    )
    document = [
        {"cell": CELLS[0], "steps": [0, 10], "mean": [2.0, 1.0], "low": [1.5, -0.5], "high": [2.5, 1.5], "n": [3, 3]}
    ]
    rows = encoding.select(curve_rows(document, grid))
    figure = curves.over_steps(rows, encoding, title="loss", log_y=True)
    (line,) = lines(figure)
    assert list(line.x) == [0.5, 10]
    (area,) = [trace for trace in figure.data if trace.fill]
    assert min(area.y) > 0
    assert max(area.y) == 2.5


def test_a_curve_without_intervals_has_no_band(grid: Grid) -> None:
    encoding = Encoding(grid=grid, colour="normalization")
    document = [{"cell": CELLS[0], "steps": [1], "mean": [2.0], "low": [None], "high": [None], "n": [1]}]
    figure = curves.over_steps(encoding.select(curve_rows(document, grid)), encoding, title="loss")
    assert len(figure.data) == 1


def test_the_band_of_a_rate_stays_between_zero_and_one(grid: Grid) -> None:
    encoding = Encoding(grid=grid, colour="normalization")
    document = [
        {"cell": CELLS[0], "steps": [1, 2], "mean": [0.1, 0.9], "low": [-0.2, 0.5], "high": [0.4, 1.3], "n": [2, 2]}
    ]
    figure = curves.over_steps(encoding.select(curve_rows(document, grid)), encoding, title="rate", as_percent=True)
    (area,) = [trace for trace in figure.data if trace.fill]
    assert (min(area.y), max(area.y)) == (0.0, 1.0)


def test_survival_falls_in_steps(grid: Grid) -> None:
    encoding = Encoding(grid=grid, colour="normalization")
    rows = encoding.select(pd.DataFrame({"cell": [0, 0], "epoch": [0, 5], "mid": [1.0, 0.4]}))
    (line,) = curves.survival(rows, encoding).data
    assert (line.line.shape, list(line.y)) == ("hv", [1.0, 0.4])


def test_batch_sizes_stand_on_a_doubling_axis_in_their_normalizations_colours(grid: Grid) -> None:
    figure = curves.against_batch_size(batch_rows(report().small_batch), grid)
    assert list(figure.layout.xaxis.tickvals) == [2, 64]
    assert figure.layout.xaxis.type == "log"
    drawn = {trace.name: trace.line.color for trace in figure.data}
    assert drawn == default_encoding(grid).colours()
    assert list(figure.data[0].y) == pytest.approx([0.2, 0.1])


def test_dots_say_their_value_and_stand_by_facet(grid: Grid) -> None:
    encoding = default_encoding(grid)
    figure = dots.dots(encoding.select(metric_rows(report(), "dead_unit_rate")), encoding, title="dead", show=percent)
    said = [a.text for a in figure.layout.annotations]
    assert said == ["10%", "12%", "14%", "0%", "0%", "0%", "<b>ReLU</b>", "<b>leaky ReLU</b>"]
    assert figure.layout.yaxis.ticktext[0] == "no normalization"


def test_degradation_is_drawn_in_points(grid: Grid) -> None:
    figure = curves.against_batch_size(batch_rows(report().small_batch), grid, value="degradation")
    assert list(figure.data[0].y) == pytest.approx([10.0, 0.0])
    assert list(figure.data[0].error_y.array) == pytest.approx([5.0, 5.0])
    assert "points" in figure.layout.yaxis.title.text


def test_the_matrix_tells_outcomes_from_states(grid: Grid) -> None:
    found = [("succeeded", "converged"), ("succeeded", "diverged"), ("failed", None), ("leased", None)]
    trials = pd.DataFrame(
        [
            {"id": k, "cell": CELLS[k], "seed": seed, "state": state, "outcome": outcome}
            for k, (state, outcome) in enumerate(found)
            for seed in (0, 1)
            if (k, seed) != (3, 1)
        ]
    )
    figure = completeness.completeness(status_rows(trials, grid), grid)
    (matrix,) = figure.data
    kinds = list(palette.STATUS_COLOURS)
    assert [kinds[int(row[0])] for row in matrix.z] == ["converged", "diverged", "failed", "leased"]
    assert [row[0] for row in matrix.text] == ["✓", "d", "!", "…"]
    assert matrix.text[3][1] == ""
    assert "seed 0, trial 1: diverged" in matrix.customdata[1][0]


def test_effects_are_sorted_and_named() -> None:
    rows = pd.DataFrame(
        {
            "factor": ["activation x training.batch_size", "activation"],
            "estimate": [0.1, 0.6],
            "low": [0.0, 0.5],
            "high": [0.2, 0.7],
        }
    )
    (trace,) = dots.effects(rows).data
    assert list(trace.y) == ["activation × batch size", "activation"]


@pytest.mark.parametrize(
    "figure",
    [
        pytest.param(curves.by_layer, id="by_layer"),
        pytest.param(lambda rows, encoding: curves.over_steps(rows, encoding, title=""), id="over_steps"),
        pytest.param(curves.survival, id="survival"),
        pytest.param(lambda rows, encoding: dots.dots(rows, encoding, title=""), id="dots"),
    ],
)
def test_nothing_to_draw_is_said(figure: Any, grid: Grid) -> None:
    columns = ["cell", "layer", "step", "mid", "estimate", "low", "high", "n", *grid.levels]
    drawn = figure(pd.DataFrame(columns=columns), default_encoding(grid))
    assert not drawn.data
    assert "Nothing to show" in drawn.layout.annotations[0].text


def test_a_figure_takes_the_pages_theme(grid: Grid) -> None:
    encoding = default_encoding(grid)
    document = json.loads(curves.by_layer(encoding.select(layer_rows(report(), "dead_unit_rate")), encoding).to_json())
    assert document["layout"]["paper_bgcolor"] == document["layout"]["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert all("color" not in a.get("font", {}) for a in document["layout"]["annotations"])


@given(st.lists(st.floats(0, 270), max_size=12).map(sorted))
def test_labels_are_moved_apart_in_order(wanted: list[float]) -> None:
    placed = spread(wanted, 270)
    assert len(placed) == len(wanted)
    assert all(after - before >= LABEL_GAP - 1e-6 for before, after in itertools.pairwise(placed))
    assert all(0 <= position <= 270 for position in placed)


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0.3, 2.2, [0.5, 1.0, 2.0]), (0.0009, 40, [0.001, 0.01, 0.1, 1.0, 10.0])]
)
def test_logarithmic_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks


def test_a_histogram_has_a_panel_a_layer_and_ticks_where_the_values_are() -> None:
    shares = {f"activation_histogram_{number:02d}": float(number == 17) for number in range(len(BINS))}
    values = {layer_series(name, layer): share for name, share in shares.items() for layer in range(1, 8)}
    figure = histograms.by_layer({**values, "activation_mean/layer_01": 1.0}, of="activation")
    assert [a.text for a in figure.layout.annotations] == [f"<b>layer {layer}</b>" for layer in range(1, 8)]
    assert len(figure.data) == 7 and list(figure.data[6].y) == list(shares.values())
    place = list(figure.data[0].y).index(1.0)
    zero, tenth = histograms.at(0.0), histograms.at(0.1)
    assert zero == 16 and figure.data[0].x[place] == zero + 0.5, "zeros are drawn just above zero"
    assert zero < tenth < histograms.at(1.0) and histograms.at(EDGES[20]) == 20
    assert not histograms.by_layer(values, of="preactivation").data
