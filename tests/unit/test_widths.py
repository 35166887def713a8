"""Widths of linear layers under activations that change the number of channels: arithmetic, packs, invalid designs."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from actinium.levels import BATCH_NORMALIZATIONS
from actinium.models.widths import learned_numbers, linear_width
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.start import parameter_count
from workers.normalizations.batch import TRAINING_RULES
from workers.packing import most_lanes, weight_count
from workers.procedures.transfer import source_config

MODELS: list[dict[str, Any]] = [
    {"kind": "mlp", "depth": 3, "width": 12},
    {"kind": "mlp", "depth": 2, "width": 12, "residual": True},
    {"kind": "cnn", "width": 6},
    {"kind": "vgg11", "width": 4},
    {"kind": "resnet20", "width": 4},
    {"kind": "resnet50", "width": 2},
]
POST = {"name": "batch", "position": "post", "affine": "scale"}
NORMALIZATIONS: list[Any] = ["none", "batch", POST, {"name": "layer", "position": "post"}, "group"]
POLICIES = ("same_in", "matched_out", "matched_params")


def config_of(activation: object, **document: Any) -> TrialConfig:
    return TrialConfig.model_validate({"activation": activation, **document})


def learned(config: TrialConfig) -> int:
    return parameter_count(config, build_model([config]).params)


def of_policy(name: str, policy: str, **document: Any) -> TrialConfig:
    return config_of({"name": name, "width_policy": policy}, **document)


def valid(names: tuple[str, ...], policies: tuple[str, ...]) -> Iterator[TrialConfig]:
    for model in MODELS:
        for normalization in NORMALIZATIONS:
            for name in names:
                for policy in policies:
                    config = of_policy(name, policy, model=model, normalization=normalization)
                    if config.invalid_design() is None:
                        yield config


def test_the_parameters_that_policies_go_by_are_those_that_are_learned() -> None:
    """The nearest width, found by trying them all with networks that are built."""
    seen = 0
    for config in valid(("crelu", "modulus"), ("matched_params",)):
        found = config.sized_model().width
        plain = learned(config.model_copy(update={"activation": config_of("relu").activation}))
        step = config.activation.ratio.denominator

        def off(width: int, config: TrialConfig = config, plain: int = plain) -> int:
            model = config.model.model_copy(update={"width": width})
            same_in = of_policy(config.activation.name, "same_in").activation
            return abs(learned(config.model_copy(update={"model": model, "activation": same_in})) - plain)

        tried = [width for width in (found - step, found, found + step) if width > 0]
        assert min(tried, key=off) == found, config
        seen += 1
    assert seen > 40


def test_what_is_counted_is_what_networks_learn() -> None:
    fixup = [
        of_policy(name, "same_in", model={"kind": kind, "width": 4}, initialization="fixup")
        for name, kind in (("crelu", "resnet50"), ("modulus", "resnet50"), ("modulus", "resnet20"))
    ]
    for config in (*valid(("crelu", "modulus"), ("same_in",)), *fixup):
        counted = learned_numbers(
            config.sized_model(),
            config.task.definition().shape,
            config.activation.ratio,
            outputs=config.outputs(),
            normalization=config.normalization,
            fixup=config.initialization.name == "fixup",
        )
        assert counted == learned(config)


def test_fixup_learns_scalars_in_the_place_of_biases() -> None:
    for name in ("crelu", "modulus"):
        model = {"kind": "resnet50", "width": 4}
        config = of_policy(name, "matched_params", model=model, initialization="fixup")
        plain = config_of("relu", model=model, initialization="fixup")
        assert config.invalid_design() is None
        width, step = config.sized_model().width, config.activation.ratio.denominator
        near = [
            abs(
                learned(of_policy(name, "same_in", model={**model, "width": w}, initialization="fixup"))
                - learned(plain)
            )
            for w in (width - step, width, width + step)
            if w > 0
        ]
        assert min(near) == abs(learned(config) - learned(plain))


def test_policies_keep_what_their_names_say() -> None:
    for model in MODELS:
        plain = [channels for channels, _ in config_of("relu", model=model).layers()]
        for name, ratio in (("crelu", Fraction(2)), ("modulus", Fraction(1, 2))):
            if (name, model["kind"]) == ("crelu", "resnet20"):
                continue
            same_in, matched_out = (of_policy(name, policy, model=model) for policy in POLICIES[:2])
            assert [channels for channels, _ in same_in.layers()] == plain
            assert [channels for channels, _ in same_in.activated()] == [ratio * channels for channels in plain]
            assert [channels for channels, _ in matched_out.activated()] == plain
            assert [positions for _, positions in same_in.layers()] == [p for _, p in matched_out.activated()]


def test_the_narrower_of_two_that_are_as_near() -> None:
    counts = {(4, Fraction(1)): 10, **{(width, Fraction(2)): 6 * width - 5 for width in range(1, 6)}}
    found = linear_width(4, Fraction(2), "matched_params", learned=lambda width, ratio: counts[width, ratio])
    assert (counts[2, Fraction(2)], counts[3, Fraction(2)], found) == (7, 13, 2)


@pytest.mark.parametrize(
    ("activation", "model", "normalization", "reason"),
    [
        ({"name": "crelu", "width_policy": "matched_out"}, {"kind": "mlp", "width": 7}, "none", "7 is not divisible"),
        ("modulus", {"kind": "cnn", "width": 5}, "none", "one channel of two, and a width of 5 is odd"),
        ("crelu", {"kind": "resnet20", "width": 4}, "none", "cannot add 8 channels to 4; resnet50 projects"),
        (
            "modulus",
            {"kind": "mlp", "width": 8, "residual": True, "residual_activation": "after_add"},
            "none",
            "adds 4 channels to 8",
        ),
        *(("crelu", {"kind": kind, "width": 8}, "none", "does not carry") for kind in ("rnn", "autoencoder")),
        ("crelu", {"kind": "mlp", "width": 8}, {"name": "group", "groups": 16}, "16 groups do not divide 8"),
        ("modulus", {"kind": "mlp", "width": 8}, {"name": "group", "groups": 8, "position": "post"}, "divide 4"),
    ],
)
def test_what_does_not_fit_is_an_invalid_design(
    activation: object, model: dict[str, Any], normalization: object, reason: str
) -> None:
    said = config_of(activation, model=model, normalization=normalization).invalid_design()
    assert said is not None and reason in said


@pytest.mark.parametrize(
    ("activation", "model", "normalization"),
    [
        ("crelu", {"kind": "mlp", "width": 8}, {"name": "group", "groups": 8, "position": "post"}),
        ({"name": "modulus", "width_policy": "matched_out"}, {"kind": "mlp", "width": 7}, "none"),
        ("crelu", {"kind": "mlp", "depth": 1, "residual": True, "residual_activation": "after_add"}, "none"),
        ("modulus", {"kind": "resnet20", "width": 4}, "batch"),
    ],
)
def test_what_fits_is_not(activation: object, model: dict[str, Any], normalization: object) -> None:
    assert config_of(activation, model=model, normalization=normalization).invalid_design() is None


def test_an_autoencoder_needs_as_many_channels_as_its_decoder_reads() -> None:
    said = config_of("modulus", initialization="greedy_autoencoder").invalid_design()
    assert said is not None and "the decoder has the encoder's weights" in said


def test_a_pack_key_goes_by_the_shapes() -> None:
    model, wider = ({"kind": "mlp", "width": width} for width in (8, 16))
    here = config_of("crelu", model=model)
    same = [
        config_of("two_path_square", model=model),
        config_of("two_path_half_wave", model=model, normalization="batch"),
        of_policy("crelu", "matched_out", model=wider),
    ]
    others = [
        config_of("relu", model=model),
        config_of("modulus", model=model),
        of_policy("crelu", "matched_out", model=model),
        config_of("crelu", model=model, normalization={"name": "batch", "position": "post"}),
    ]
    assert {config.pack_key() for config in same} == {here.pack_key()}
    assert len({config.pack_key() for config in (here, *others)}) == 5
    assert len({config.digest() for config in (here, *same, *others)}) == 8


def test_weights_are_counted_in_their_widths() -> None:
    for config in valid(("crelu", "modulus"), ("same_in", "matched_params")):
        params = build_model([config]).params
        assert weight_count(config) == sum(t.numel() for name, t in params.items() if name.endswith(".weight"))
    wide = {"model": {"kind": "vgg11"}, "task": {"dataset": "cifar10"}, "training": {"batch_size": 128}}
    assert most_lanes(config_of("crelu", **wide), "cuda") < most_lanes(config_of("relu", **wide), "cuda")


def test_a_source_of_other_classes_has_networks_of_the_same_widths() -> None:
    transfer = {"name": "transfer", "source": "digits_0_4"}
    document = {"model": {"kind": "mlp", "depth": 1, "width": 64}, "initialization": transfer}
    config = of_policy("crelu", "matched_params", **document)
    assert config.invalid_design() is None
    alone = of_policy("crelu", "matched_params", model=document["model"], task={"dataset": "digits_0_4"})
    assert source_config(config).layers() == config.layers() != alone.layers()


def test_batch_normalizations_are_those_that_keep_statistics() -> None:
    assert set(BATCH_NORMALIZATIONS) == set(TRAINING_RULES)


def test_a_policy_is_refused_with_what_would_be_accepted() -> None:
    with pytest.raises(ValueError, match="'half' is not accepted; give one of same_in, matched_out, matched_params"):
        of_policy("crelu", "half")
    with pytest.raises(ValueError, match="relu has no parameter 'width_policy'"):
        of_policy("relu", "same_in")
