"""What the catalogue says of activations, and the dashboard's page that draws it."""

import json
import math
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from actinium.definitions import LevelDefinition, Parameter
from actinium.levels import ACTIVATIONS
from actinium.levels.curves import drawing
from dashboard.charts.activations import functions
from services.api.catalogue import catalogue


@pytest.fixture(scope="module")
def levels() -> dict[str, dict[str, Any]]:
    document = json.loads(json.dumps(catalogue(), allow_nan=False))
    return {level["name"]: level for level in document["activations"]}


def test_every_activation_can_be_drawn(levels: dict[str, dict[str, Any]]) -> None:
    assert list(levels) == list(ACTIVATIONS)
    for name, level in levels.items():
        curve = level["curve"]
        assert len(curve["z"]) == len(curve["function"]) == len(curve["derivative"]) == 161
        assert None not in curve["function"] and None not in curve["derivative"], name
        assert level["gain"] > 0
        assert level["equation"] and level["derivative"] and level["citation"]


def test_the_curves_are_the_functions(levels: dict[str, dict[str, Any]]) -> None:
    assert levels["relu"]["gain"] == pytest.approx(math.sqrt(2), abs=1e-5)
    for z, h, slope in zip(*levels["tanh"]["curve"].values(), strict=True):
        assert (h, slope) == pytest.approx((math.tanh(z), 1 - math.tanh(z) ** 2), abs=1e-5)
    relu = levels["relu"]["curve"]
    assert [h for z, h in zip(relu["z"], relu["function"], strict=True) if z <= 0] == [0.0] * 81


def test_what_is_not_finite_is_null() -> None:
    level = LevelDefinition(
        name="log",
        equation="log(a z)",
        citation="none",
        formula="log(a * z)",
        parameters={"a": Parameter(default=None, nullable=True, doc="a"), "b": Parameter(default=1.0, doc="unused")},
        drawn_at={"a": 2.0},
    )
    found = drawing(level)
    assert found["gain"] is None
    assert found["curve"]["function"][:81] == [None] * 81
    assert found["curve"]["function"][-1] == pytest.approx(math.log(8), abs=1e-5)


def test_the_figure_has_both_curves_of_each(levels: dict[str, dict[str, Any]]) -> None:
    figure = functions([levels["relu"], levels["selu"]])
    assert [trace.name for trace in figure.data] == ["relu", "relu", "selu", "selu"]
    assert list(figure.data[3].y) == levels["selu"]["curve"]["derivative"]
    assert figure.data[0].line.color == figure.data[1].line.color != figure.data[2].line.color
    assert not functions([]).data


def test_the_figure_has_both_halves_of_what_doubles_channels(levels: dict[str, dict[str, Any]]) -> None:
    crelu = levels["crelu"]
    assert crelu["ratio"] == 2 and levels["modulus"]["ratio"] == 0.5 and levels["relu"]["ratio"] == 1
    figure = functions([crelu])
    drawn = [list(trace.y) for trace in figure.data]
    curve = crelu["curve"]
    assert drawn == [curve[name] for name in ("function", "derivative", "second_function", "second_derivative")]
    assert curve["second_function"] == curve["function"][::-1]
    assert [trace.showlegend for trace in figure.data] == [True, False, False, False]
    assert len({trace.line.color for trace in figure.data}) == 1
    assert figure.data[0].line.width > figure.data[2].line.width


def test_the_page_draws_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard import session

    monkeypatch.setattr(session, "catalogue", catalogue)

    def page() -> None:
        from dashboard.views import catalogue as view

        view.show()

    app = AppTest.from_function(page).run(timeout=20)
    assert not app.exception
    assert app.title[0].value == "Activations"
    assert app.multiselect[0].value == ["relu", "leaky_relu", "elu", "gelu", "tanh"]
    app.multiselect[0].set_value(["lif", "srelu"]).run(timeout=20)
    assert not app.exception
    (chart,) = app.get("plotly_chart")
    names = {trace["name"] for trace in json.loads(chart.proto.spec)["data"]}
    assert names == {"lif", "srelu"}
