"""Untrained networks before a study: factors against closed forms, order, missing files, memory."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actinium.trial import TrialConfig
from workers import preflight

TEN = {"model": {"kind": "mlp", "depth": 10, "width": 200}}


def config_of(**document: Any) -> TrialConfig:
    return TrialConfig.model_validate(document)


def found(configs: list[TrialConfig], root: Path | None = None) -> list[dict[str, Any]]:
    """In the order of the configs."""
    answers = dict(preflight.preflight(configs, root))
    return [answers[place] for place in range(len(configs))]


@pytest.mark.parametrize(
    ("activation", "initialization", "factor"),
    [("tanh", {"name": "normal", "std": 0.01}, None), ("sigmoid", "xavier", 0.2361), ("relu", "xavier", 0.7071)],
)
def test_the_backward_factor_is_the_closed_form(activation: str, initialization: Any, factor: float | None) -> None:
    """C4, within 10%; small normal weights: sqrt(n) std."""
    (seen,) = found([config_of(**TEN, activation=activation, initialization=initialization)])
    wanted = factor if factor is not None else math.sqrt(200) * 0.01
    assert seen["backward_factor"] == pytest.approx(wanted, rel=0.1)
    assert len(seen["gradient_rms"]) == len(seen["forward_rms"]) == 10 and seen["inputs"] == "dataset"


def test_the_forward_factor_is_the_closed_form() -> None:
    """C3: 1 for He and 1/sqrt 2 a layer for Xavier."""
    he, xavier = found([config_of(**TEN, initialization="he"), config_of(**TEN, initialization="xavier")])
    assert he["forward_factor"] == pytest.approx(1.0, abs=0.06)
    assert xavier["forward_factor"] == pytest.approx(math.sqrt(0.5), abs=0.06)


def test_he_keeps_forward_and_backward_of_crelu_and_doubles_the_modulus() -> None:
    """E h^2 of the outputs is q / 2 of twice as many, or 2 q of half as many; every z reaches both of its outputs."""
    crelu, modulus = found([config_of(**TEN, activation=name) for name in ("crelu", "modulus")])
    assert crelu["forward_factor"] == pytest.approx(1.0, abs=0.06)
    assert crelu["backward_factor"] == pytest.approx(1.0, abs=0.06)
    assert modulus["forward_factor"] == pytest.approx(2.0, rel=0.06)


def test_what_a_first_batch_makes_of_the_weights_is_seen() -> None:
    """LSUV: every layer's u has variance 1, so that tanh's outputs keep their size; orthogonal weights let it fall."""
    lsuv, plain = found([config_of(**TEN, activation="tanh", initialization=name) for name in ("lsuv", "orthogonal")])
    assert lsuv["forward_factor"] == pytest.approx(1.0, abs=0.02)
    assert lsuv["forward_rms"] == pytest.approx([0.628] * 10, abs=0.06)
    assert plain["forward_factor"] < 0.95


def test_networks_of_several_shapes_are_answered_in_their_places() -> None:
    documents: list[dict[str, Any]] = [
        {"activation": "tanh", "normalization": "batch", "model": {"kind": "cnn", "width": 4}},
        {"activation": "relu"},
        {"activation": "crelu"},
        {"activation": {"name": "crelu", "width_policy": "matched_out"}},
        {"activation": "relu", "initialization": "zero"},
        {"activation": "elu", "model": {"kind": "mlp", "depth": 1, "width": 8}},
    ]
    configs = [config_of(**document) for document in documents]
    together = found(configs)
    for config, seen in zip(configs, together, strict=True):
        (alone,) = found([config])
        assert seen.pop("inputs") == alone.pop("inputs") and seen.keys() == alone.keys()
        for name, value in seen.items():
            wanted = np.array(alone[name], dtype=float)
            np.testing.assert_allclose(np.array(value, dtype=float), wanted, rtol=1e-3, err_msg=name)
    assert [len(seen["forward_rms"]) for seen in together] == [2, 3, 3, 3, 3, 1]
    assert together[4]["born_dead_rate"] == 1.0 and together[4]["backward_factor"] is None
    assert together[5]["forward_factor"] is None


def test_without_the_files_inputs_are_normal(tmp_path: Path) -> None:
    (seen,) = found([config_of(task={"dataset": "mnist"}, training={"batch_size": 8})], tmp_path)
    assert seen["inputs"] == "normal" and seen["backward_factor"] == pytest.approx(1.0, abs=0.2)


def test_memory_grows_with_the_batch_and_examples_shrink_with_the_layers() -> None:
    small, large = found([config_of(training={"batch_size": size}) for size in (8, 64)])
    outputs = 4 * 4 * (64 - 8) * 3 * 128
    assert large["memory_bytes"] - small["memory_bytes"] == outputs
    wide = config_of(model={"kind": "mlp", "depth": 100, "width": 8192})
    assert preflight.examples_for(wide) == 2**24 // 819_200
    assert preflight.examples_for(config_of()) == 256


def test_the_child_writes_a_line_a_config(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    request = {"configs": [config_of(seed=seed).model_dump(mode="json") for seed in (0, 1)], "data_root": None}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    preflight.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["place"] for line in lines] == [0, 1]
