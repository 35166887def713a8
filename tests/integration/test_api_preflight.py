"""A dry run looks at untrained networks: in a child process, bounded in number and time, and remembered."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from actinium.study import expand, parse_study
from services.api import preflight
from services.api.preflight import Preflight, before_procedures, warnings_of
from services.settings import Settings

GRID: dict[str, Any] = {
    "name": "deep",
    "model": {"kind": "mlp", "depth": 10, "width": 64},
    "initialization": {"name": "normal", "std": 0.02},
    "factors": {"activation": ["tanh", "relu"], "training.learning_rate": [0.1, 0.01]},
    "seeds": 2,
}
CALM = {
    "forward_factor": 1.0,
    "backward_factor": 1.0,
    "forward_rms": [1.0, 1.0],
    "gradient_rms": [1e-3, 1e-3],
    "born_dead_rate": 0.0,
    "memory_bytes": 1000,
    "examples": 256,
    "inputs": "dataset",
}


def design_of(**changes: Any) -> Any:
    return expand(parse_study({**GRID, **changes}))


def test_a_dry_run_warns_of_vanishing_gradients_and_writes_nothing(
    submitter: httpx.Client, row_counts: Callable[[], dict[str, int]]
) -> None:
    """sqrt(64) 0.02 = 0.16 a layer for tanh; cells that differ in the learning rate alone share one look."""
    before = row_counts()
    seen = submitter.post("/v1/studies?dry_run=true", json=GRID).json()["preflight"]
    assert row_counts() == before
    assert [row["cell"] for row in seen] == [cell.cell for cell in design_of().cells]
    by_activation = {row["cell"]["activation"]: row for row in seen}
    assert by_activation["tanh"]["backward_factor"] == pytest.approx(0.16, rel=0.1)
    assert by_activation["tanh"]["warnings"][0].startswith("gradients shrink 0.16x a layer: at depth 20 expect 1e-1")
    assert by_activation["tanh"]["memory_bytes"] > 0 and len(by_activation["tanh"]["forward_rms"]) == 10
    numbers = [{name: value for name, value in row.items() if name != "cell"} for row in seen]
    assert numbers[0] == numbers[1] and numbers[2] == numbers[3] and numbers[0] != numbers[2]
    assert submitter.post("/v1/studies", json=GRID).json()["preflight"] == []


def test_what_is_known_needs_no_child_and_the_first_different_networks_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def look(configs: Any, settings: Settings) -> list[dict[str, Any]]:
        asked.append([config.activation.name for config in configs])
        return [{"place": place, **CALM} for place in range(len(configs))]

    monkeypatch.setattr(preflight, "looked_at", look)
    ready, two = Preflight(), Settings(preflight_networks=2)
    assert len(ready.of(design_of(), two).documents) == 4
    assert len(ready.of(design_of(seeds=5), two).documents) == 4
    assert asked == [["tanh", "relu"]]
    three = {**GRID["factors"], "activation": ["elu", "tanh", "relu"]}
    looked = ready.of(design_of(factors=three), two)
    assert [row.cell["activation"] for row in looked.documents] == ["elu", "elu", "tanh", "tanh"]
    assert looked.missing == preflight.FIRST
    assert asked[1:] == [["elu"]]
    assert not ready.of(design_of(training={"batch_size": 8}), Settings(preflight_networks=0)).documents


def test_what_is_not_ready_in_time_is_left_out() -> None:
    looked = Preflight().of(design_of(), Settings(preflight_seconds=0.01))
    assert not looked.documents and looked.missing == preflight.LATE


def test_while_one_preflight_runs_another_is_answered_at_once_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is shown meanwhile, and the answer says what is missing and why."""
    ready, running, end = Preflight(), threading.Event(), threading.Event()

    def look(configs: Any, settings: Settings) -> list[dict[str, Any]]:
        if any(config.activation.name == "tanh" for config in configs):
            running.set()
            assert end.wait(30)
        return [{"place": place, **CALM} for place in range(len(configs))]

    monkeypatch.setattr(preflight, "looked_at", look)
    assert ready.of(design_of(factors={"activation": ["elu"]}), Settings()).missing is None
    slow = threading.Thread(target=ready.of, args=(design_of(), Settings()))
    slow.start()
    try:
        assert running.wait(30)
        looked = ready.of(design_of(factors={"activation": ["elu", "selu"]}), Settings())
        assert [row.cell["activation"] for row in looked.documents] == ["elu"] and looked.missing == preflight.BUSY
    finally:
        end.set()
        slow.join(30)


def test_what_a_procedure_starts_from_is_shown_and_said() -> None:
    """Procedures take too long to be run here."""
    he, pretrained = (cell.config for cell in design_of(factors={"initialization": ["he", "greedy_autoencoder"]}).cells)
    assert before_procedures(he) == []
    (said,) = before_procedures(pretrained)
    assert "as xavier starts it, before greedy_autoencoder" in said


def test_the_warnings_say_what_and_how_much() -> None:
    assert warnings_of(CALM) == []
    assert warnings_of({**CALM, "backward_factor": 0.22}) == [
        "gradients shrink 0.22x a layer: at depth 20 expect 1e-13"
    ]
    assert warnings_of({**CALM, "forward_factor": 1.5}) == ["outputs grow 1.5x a layer: at depth 20 expect 1e4"]
    deep = {**CALM, "backward_factor": 0.5, "gradient_rms": [1.0] * 100}
    assert warnings_of(deep) == ["gradients shrink 0.5x a layer: at depth 100 expect 1e-30"]
    for changes, words in [
        ({"time_factor": 0.5, "time_steps": 64}, "gradients shrink 0.5x a time step: over 64 steps expect 1e-19"),
        ({"gradient_rms": [0.0, 1.0], "backward_factor": None}, "exactly zero"),
        ({"gradient_rms": [None, 1.0]}, "gradients are not finite"),
        ({"forward_rms": [1.0, None], "gradient_rms": [None, None]}, "outputs are not finite"),
        ({"born_dead_rate": 0.124}, "12% of the units are born dead (K = 256 examples)"),
        ({"memory_bytes": 9 * 2**30}, "9 GiB"),
        ({"inputs": "normal"}, "normal noise"),
    ]:
        (warning,) = warnings_of({**CALM, **changes})
        assert words in warning
