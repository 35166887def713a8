"""Names that people know from PyTorch and Keras: which level each is, and what is said of one that is none."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from actinium.datasets.table import DATASETS
from actinium.definitions import did_you_mean
from actinium.errors import FieldError, InvalidInput
from actinium.levels import LEVEL_KINDS, Activation, Initialization, Level, LevelDefinition, Normalization
from actinium.levels.curves import curve
from actinium.levels.elsewhere import EXPRESSIONS
from actinium.levels.expression import parse
from actinium.models import MODELS
from actinium.names import DATASET_NAME, NAME_RULES, STUDY_NAME, key, matching
from actinium.study import expand, load_study, parse_study
from actinium.trial import OPTIMIZERS, TrialConfig


def words(definitions: Mapping[str, LevelDefinition]) -> list[str]:
    """Every name that a table knows, aliases and presets included."""
    return [word for d in definitions.values() for word in (d.name, *d.aliases, *d.presets)]


TABLES = {kind: words(level.definitions) for kind, level in LEVEL_KINDS.items()} | {
    "task.dataset": list(DATASETS),
    "model.kind": list(MODELS),
    "training.optimizer": list(OPTIMIZERS),
}


@pytest.mark.parametrize("table", TABLES)
def test_no_name_of_a_table_is_ambiguous(table: str) -> None:
    keys = [key(word) for word in TABLES[table]]
    assert all(keys) and len(set(keys)) == len(keys), "two names with one key: one of them can never be meant"


@pytest.mark.parametrize("kind", LEVEL_KINDS)
def test_what_is_elsewhere_is_no_level_here(kind: str) -> None:
    level = LEVEL_KINDS[kind]
    assert not {key(word) for word in level.elsewhere} & {key(word) for word in TABLES[kind]}


def test_the_kinds_and_optimizers_are_those_of_the_schema() -> None:
    schema = TrialConfig.model_json_schema()
    assert set(schema["properties"]["model"]["discriminator"]["mapping"]) == set(MODELS)
    assert schema["$defs"]["Training"]["properties"]["optimizer"]["enum"] == list(OPTIMIZERS)


UNIFORM = {"distribution": "uniform"}
MEANT: list[tuple[type[Level], str, str, dict[str, Any]]] = [
    *((Normalization, word, "batch", {}) for word in ("BatchNorm1d", "BatchNorm2d", "nn.BatchNorm3d()", "batch_norm")),
    (Normalization, "BatchNormalization", "batch", {}),
    *((Normalization, word, "layer", {}) for word in ("LayerNorm", "LayerNormalization", "torch.nn.LayerNorm")),
    *((Normalization, word, "group", {}) for word in ("GroupNorm", "GroupNormalization")),
    *((Normalization, word, "instance", {}) for word in ("InstanceNorm1d", "InstanceNorm2d", "instance_norm")),
    *((Normalization, word, "none", {}) for word in ("Identity", "nn.Identity()", "None")),
    *((Initialization, word, "xavier", {}) for word in ("glorot_normal", "xavier_normal_", "GlorotNormal", "Glorot")),
    *((Initialization, word, "xavier", UNIFORM) for word in ("glorot_uniform", "GlorotUniform", "xavier_uniform_")),
    *((Initialization, word, "he", {}) for word in ("he_normal", "kaiming_normal_", "nn.init.kaiming_normal_")),
    *((Initialization, word, "he", UNIFORM) for word in ("he_uniform", "HeUniform", "kaiming_uniform_")),
    (Initialization, "lecun_normal", "lecun", {}),
    (Initialization, "LecunUniform", "lecun", UNIFORM),
    *((Initialization, word, "orthogonal", {}) for word in ("orthogonal_", "Orthogonal")),
    *((Initialization, word, "zero", {}) for word in ("zeros_", "Zeros", "zeros")),
    (Initialization, "RandomNormal", "normal", {"std": 0.05}),
    *((Activation, word, "silu", {}) for word in ("SiLU", "swish", "Swish", "torch.nn.SiLU()")),
    *(
        (Activation, word, word.lower(), {})
        for word in ("ReLU", "Tanh", "Sigmoid", "ELU", "SELU", "GELU", "PReLU", "RReLU", "Softplus", "CReLU")
    ),
    *((Activation, word, "leaky_relu", {}) for word in ("LeakyReLU", "leakyrelu", "leaky-relu", "F.leaky_relu")),
    *((Activation, word, "linear", {}) for word in ("Identity", "Linear")),
]


@pytest.mark.parametrize(("kind", "word", "name", "parameters"), MEANT, ids=[f"{m[0].noun}-{m[1]}" for m in MEANT])
def test_a_name_means_its_level_with_its_parameters(
    kind: type[Level], word: str, name: str, parameters: dict[str, Any]
) -> None:
    assert kind.of(word) == kind.of({"name": name, **parameters})
    assert kind.of({"name": word}) == kind.of(word), "in a mapping too"


def test_own_parameters_go_before_those_of_a_name() -> None:
    level = Initialization.of({"name": "Kaiming_Uniform_", "mode": "fan_out"})
    assert level == Initialization.of({"name": "he", "mode": "fan_out", "distribution": "uniform"})


WRONG: list[tuple[type[Level], str, str]] = [
    (Normalization, "RMSNorm", "known: none, batch"),
    (Normalization, "weight_norm", "known: none, batch"),
    (Normalization, "batchnrom", "did you mean batchnorm?"),
    (Normalization, "gruop", "did you mean group?"),
    (Initialization, "trunc_normal_", "draws are not truncated here"),
    (Initialization, "RandomUniform", "take distribution: uniform"),
    (Initialization, "ones_", "known: zero, normal"),
    (Initialization, "kaimign", "did you mean kaiming?"),
    (Initialization, "xaver_uniform", "did you mean xavier_uniform?"),
    (Activation, "ReLU6", 'expr: "clip(z, 0, 6)"'),
    (Activation, "nn.Mish()", 'expr: "z * tanh(softplus(z))"'),
    (Activation, "Softmax", "it mixes units"),
    (Activation, "telu", "known: linear, sigmoid"),
    (Activation, "gated", "known: linear, sigmoid"),
    (Activation, "sigmod", "did you mean sigmoid?"),
]


@pytest.mark.parametrize(("kind", "word", "said"), WRONG, ids=[word for _, word, _ in WRONG])
def test_a_suggestion_is_the_right_one_or_none(kind: type[Level], word: str, said: str) -> None:
    """Another method is no spelling of this one; where many are as near, none is meant."""
    with pytest.raises(ValidationError) as caught:
        kind.of(word)
    (fault,) = caught.value.errors()
    assert said in fault["msg"]
    if "did you mean" not in said:
        assert "did you mean" not in fault["msg"]


FIELDS = ["optimizer", "learning_rate", "momentum", "batch_size", "epochs", "negative_slope", "groups"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("learnign_rate", "did you mean learning_rate?"),
        ("learning-rate", "did you mean learning_rate?"),
        ("batchsize", "did you mean batch_size?"),
        ("epoch", "did you mean epochs?"),
        ("slope", "did you mean negative_slope?"),
        ("num_groups", "did you mean groups?"),
        ("betas", "known: optimizer"),
        ("x" * 100_000, "known: optimizer"),
        ("", "known: optimizer"),
    ],
)
def test_a_field_is_suggested_by_its_letters_or_a_part(word: str, said: str) -> None:
    assert did_you_mean(word, FIELDS).startswith(said)


def test_other_digits_are_another_thing() -> None:
    assert did_you_mean("cifar100", ["cifar10"]).startswith("known")
    assert did_you_mean("resnet18", ["resnet20", "resnet50"], parts=False).startswith("known")


TORCHS = {"CELU": nn.CELU(), "exponential": torch.exp}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_is_to_be_written_is_torchs_function(name: str) -> None:
    z = torch.linspace(-7, 7, 281, dtype=torch.float64)
    expected = TORCHS.get(name) or getattr(nn, name)()
    written, _ = curve(parse(EXPRESSIONS[name]), {}, z.numpy())
    np.testing.assert_allclose(written, expected(z).numpy(), atol=1e-12)


def test_a_study_in_the_words_of_others() -> None:
    """Datasets, kinds and optimizers too, in factors, exclusions and the reference; the digests are the house's."""
    theirs = {
        "task": {"dataset": "Digits"},
        "model": {"kind": "MLP", "depth": 2},
        "activation": "nn.SiLU",
        "factors": {"training.optimizer": ["SGD", "torch.optim.Adam", "AdamW"], "normalization": ["BatchNorm1d"]},
        "exclude": [{"training.optimizer": "ADAMW"}],
        "reference": {"training.optimizer": "SGD", "task.dataset": "DIGITS", "model": {"kind": "Mlp"}},
    }
    ours = {
        "model": {"kind": "mlp", "depth": 2},
        "activation": "silu",
        "factors": {"training.optimizer": ["sgd", "adam"], "normalization": ["batch"]},
    }
    found, wanted = (expand(parse_study({"name": "s", **document})).cells for document in (theirs, ours))
    assert [cell.config.digest() for cell in found] == [cell.config.digest() for cell in wanted]
    assert [cell.cell for cell in found] == [cell.cell for cell in wanted]
    assert expand(parse_study({"name": "s", "task": {"dataset": "CIFAR-10"}})).cells[0].config.task.dataset == "cifar10"
    (cell,) = expand(parse_study({"name": "s", "factors": {"model": [{"kind": "ResNet-20"}]}})).cells
    assert cell.cell == {"model": {"kind": "resnet20"}}
    with pytest.raises(InvalidInput, match=r"model.kind: 'ResNet18' is not accepted; give one of mlp"):
        parse_study({"name": "s", "model": {"kind": "ResNet18"}})


def test_only_letters_and_digits_count_and_only_so_many() -> None:
    assert key(" nn.Leaky_ReLU() ") == "leakyrelu" and key("__") == "" == key("a" * 1000)
    assert matching("--", ["", "a"]) is None and matching("A", ["b", "a"]) == "a"


NAMES = [
    (DATASET_NAME, "MyData.npz", "such as mydata.npz"),
    (DATASET_NAME, "数据", "such as my-data"),
    (DATASET_NAME, "../Étoiles 2", "such as etoiles-2"),
    (STUDY_NAME, "激活函数", "such as my-study"),
    (STUDY_NAME, "a/b", "such as a-b"),
]


@pytest.mark.parametrize(("rule", "word", "said"), NAMES)
def test_a_refused_name_is_told_what_is_accepted(rule: Any, word: str, said: str) -> None:
    """In words, with a name that is, and no pattern."""
    message = rule.refusal(word)
    assert said in message and "^" not in message and "[" not in message


def test_every_suggested_name_is_accepted() -> None:
    import re

    for rule in NAME_RULES.values():
        for word in ("MyData.npz", "数据", "-_ .", "a" * 500, "Ünï-çode", "\n\t"):
            suggested = rule.refusal(word).rpartition("such as ")[2]
            assert re.fullmatch(rule.pattern, suggested) and len(suggested) <= 80


def test_a_study_of_a_refused_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_study({"name": "激活函数"})
    (fault,) = caught.value.errors
    assert fault.path == "name" and "such as my-study" in fault.message and "pattern" not in fault.message


def test_a_date_is_its_text() -> None:
    """YAML 1.1 makes a date of it, which is no JSON: `tags: {day: 2026-11-26}` could not be sent."""
    document = load_study("name: s\ntags: {day: 2026-11-26, at: 2026-11-26 12:00:00}\n")
    assert parse_study(document).tags == {"day": "2026-11-26", "at": "2026-11-26 12:00:00"}


def test_a_fault_of_the_whole_has_no_colon_before_it() -> None:
    error = InvalidInput("the dataset is not accepted", [FieldError("", "not a zip"), FieldError("labels", "wrong")])
    assert str(error).splitlines() == ["the dataset is not accepted", "  not a zip", "  labels: wrong"]
