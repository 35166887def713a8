"""A study's grid: the product of its factors, less exclusions, plus inclusions, impossible designs set apart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actinium.levels import custom
from actinium.study import Design, StudySpec, cell_label, expand, load_study, parse_study


def design(**document: Any) -> Design:
    """The grid of a document."""
    return expand(parse_study({"name": "s", "seeds": 2, **document}))


def test_the_grid_is_the_product_with_seeds_outermost() -> None:
    """Each seed's cells come together, so that a partial study is balanced."""
    found = design(factors={"activation": ["relu", "tanh"], "training.batch_size": [8, 32]})
    assert [cell_label(cell.cell) for cell in found.cells] == [
        "relu·batch_size=8",
        "relu·batch_size=32",
        "tanh·batch_size=8",
        "tanh·batch_size=32",
    ]
    assert [cell.index for cell in found.cells] == [0, 1, 2, 3]
    assert [(cell.index, config.seed) for cell, config in found.trials()] == [(i, s) for s in (0, 1) for i in range(4)]


def test_structurally_impossible_cells_are_listed_not_run() -> None:
    """SCIENCE A2: instance normalization on fully connected layers, batch normalization of one example."""
    found = design(factors={"normalization": ["none", "batch", "instance"], "training.batch_size": [1, 8]})
    assert len(found.cells) == 3
    assert [(cell_label(d.cell), "m = 1" in d.reason or "instance" in d.reason) for d in found.invalid] == [
        ("batch·batch_size=1", True),
        ("instance·batch_size=1", True),
        ("instance·batch_size=8", True),
    ]


def test_exclude_and_include() -> None:
    """A bare level name excludes it whatever its parameters; what is included twice runs once."""
    slopes = [{"name": "leaky_relu", "negative_slope": slope} for slope in (0.1, 0.2)]
    found = design(
        factors={"activation": ["relu", *slopes], "normalization": ["none", "batch"]},
        exclude=[{"activation": "leaky_relu", "normalization": "batch"}],
        include=[{"activation": "tanh"}, {"activation": "relu", "normalization": "none"}],
    )
    labels = [cell_label(cell.cell) for cell in found.cells]
    assert labels == [
        "relu·none",
        "relu·batch",
        "leaky_relu(negative_slope=0.1)·none",
        "leaky_relu(negative_slope=0.2)·none",
        "tanh",
    ]


def test_numbers_mean_the_same_however_they_are_written() -> None:
    """YAML 1.1 reads 1e-3 as a word."""
    document = load_study("{name: s, factors: {training.learning_rate: [1e-3, 0.01]}}")
    found = expand(parse_study({**document, "exclude": [{"training.learning_rate": "1e-2"}]}))
    assert [cell.cell for cell in found.cells] == [{"training.learning_rate": 0.001}]
    sizes = design(factors={"training.batch_size": ["2", 8.0]})
    assert [cell.cell["training.batch_size"] for cell in sizes.cells] == [2, 8]
    assert all(type(cell.cell["training.batch_size"]) is int for cell in sizes.cells)


def test_a_whole_part_of_the_document_can_vary() -> None:
    """Models of different kinds have different fields, and probes can be switched off."""
    found = design(factors={"model": [{"kind": "mlp", "depth": 2}, {"kind": "cnn"}], "probes.dead_units": [None, {}]})
    assert [cell.config.model.kind for cell in found.cells] == ["mlp", "mlp", "cnn", "cnn"]
    assert [cell.config.probes.dead_units is None for cell in found.cells] == [True, False, True, False]


def test_the_stored_document_means_the_same_study() -> None:
    """Dump and parse again: same cells, same digests."""
    found = design(
        factors={"activation": [{"name": "elu", "alpha": 0.5}, "lrelu"], "normalization": [{"name": "gn", "groups": 8}]}
    )
    again = expand(StudySpec.model_validate_json(found.spec.model_dump_json()))
    assert again.cells == found.cells
    assert [cell.config.digest() for cell in again.cells] == [cell.config.digest() for cell in found.cells]


@given(
    activations=st.sets(st.sampled_from(["relu", "tanh", "elu", "prelu"]), min_size=1),
    depths=st.sets(st.integers(1, 20), min_size=1, max_size=4),
    seeds=st.integers(1, 5),
)
def test_size_and_distinctness(activations: set[str], depths: set[int], seeds: int) -> None:
    """As many trials as the product says, no two with one digest."""
    found = design(factors={"activation": sorted(activations), "model.depth": sorted(depths)}, seeds=seeds)
    digests = {config.digest() for _, config in found.trials()}
    assert len(digests) == len(activations) * len(depths) * seeds == found.spec.grid_size()


def test_one_document_gives_the_digest_of_every_seed() -> None:
    """Also where words of the document look like its own keys, and from a config that has a seed already."""
    words = {"name": "expression", "expr": "z + seed", "parameters": {"seed": {"init": 0.0, "learnable": True}}}
    (cell,) = design(activation=words, task={"dataset": "digits", "split_seed": 0}).cells
    for config in (cell.config, cell.trial(7)):
        assert [config.digest_by_seed()(seed) for seed in (0, 7, 2**31)] == [
            cell.trial(seed).digest() for seed in (0, 7, 2**31)
        ]


def test_an_exclusion_is_parsed_once_however_many_cells_are_compared_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    real = custom.parse

    def counted(text: str, *given: Any) -> Any:
        parsed.append(text)
        return real(text, *given)

    monkeypatch.setattr(custom, "parse", counted)
    patterns = [{"activation": {"name": "expression", "expr": f"z * tanh({n}.5 * z)"}} for n in range(20)]
    rates = {"training.learning_rate": [0.01 * (n + 1) for n in range(50)]}
    document = {"name": "s", "factors": rates, "exclude": patterns, "seeds": 1}
    assert len(expand(parse_study(document)).cells) == 50
    assert len(parsed) <= 3 * len(patterns), "and not for each of the cells"
