"""The table of model kinds, and what every entry of it owes the house."""

import pytest

from actinium.levels import Activation, Initialization
from actinium.models import MODELS
from actinium.trial import Task, TrialConfig
from workers.models import LANE_MODELS, build_model
from workers.packing import first_width, most_lanes, weight_count
from workers.preflight import memory_bytes


def test_every_kind_has_its_name_and_its_lane_first_network() -> None:
    assert {name: model.model_fields["kind"].default for name, model in MODELS.items()} == {n: n for n in MODELS}
    assert list(LANE_MODELS) == list(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_kind_says_of_itself_is_what_is_built(kind: str) -> None:
    task = Task(dataset="brightness_denoising" if kind == "denoiser" else "digits", train_examples=64)
    config = TrialConfig.model_validate({"task": task, "model": {"kind": kind, "width": 4}})
    assert config.invalid_design() is None
    model = build_model([config])
    assert len(model.hidden_names) == len(config.layers())
    assert weight_count(config) == sum(t.numel() for name, t in model.params.items() if name.endswith(".weight"))
    for name, (channels, _) in zip(model.hidden_names, config.layers(), strict=True):
        assert model.params[f"{name}.bias"].shape == (1, channels * config.model.gates)
    assert 1 <= first_width(config, "cpu") <= most_lanes(config, "cpu")
    assert memory_bytes(config, 10) > memory_bytes(config, 0) > 0
    assert set(config.projections()) == {name.split(".")[0] for name in model.params if name.startswith("projection_")}


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_kind_does_not_carry_is_told(kind: str) -> None:
    """No design falls through to an assertion: it is valid, or there is a reason."""
    for activation in ("crelu", "modulus"):
        for level in ("he", "fixup", "greedy_autoencoder", "delta_orthogonal"):
            given = {"activation": Activation.of(activation), "initialization": Initialization.of(level)}
            config = TrialConfig.model_validate({"model": {"kind": kind, "width": 8}, **given})
            reason = config.invalid_design()
            assert reason is None or len(reason) > 10
            if reason is None:
                assert len(config.layers()) == len(build_model([config]).hidden_names)
