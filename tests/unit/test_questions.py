"""What a study asks: how a question is read and refused, which cells it compares, and what the report answers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from actinium.errors import InvalidInput
from actinium.questions import asked_pairs
from actinium.report import Report
from actinium.statistics.contrasts import holm, sign_flip_p
from actinium.statistics.families import families_of, too_few_seeds
from actinium.statistics.report import build_report
from actinium.study import Design, compared_cells, expand, parse_study

FACTORS: dict[str, Any] = {
    "activation": ["relu", "elu", {"name": "leaky_relu", "negative_slope": 0.01}],
    "normalization": ["none", "batch"],
    "training.batch_size": [2, 32],
}


def study(*questions: dict[str, Any], **document: Any) -> Design:
    """A study of twelve cells that asks this."""
    asked = {"questions": list(questions)} if questions else {}
    return expand(parse_study({"name": "asks", "factors": FACTORS, "seeds": 8, **asked, **document}))


def faults(*questions: dict[str, Any], **document: Any) -> dict[str, str]:
    """Why the study is refused, by path."""
    with pytest.raises(InvalidInput) as refusal:
        study(*questions, **document)
    return {error.path: error.message for error in refusal.value.errors}


def pairs(design: Design, number: int = 0) -> list[list[tuple[Any, Any]]]:
    """The levels of the cells that a question compares."""
    assert design.spec.questions is not None
    resolved = [(cell.cell, cell.config) for cell in design.cells]
    tests = asked_pairs(design.spec.questions[number], resolved, compared_cells(design.spec, design.cells))
    return [[(design.cells[a].cell, design.cells[b].cell) for a, b in pairs] for pairs in tests]


def cell(activation: Any, normalization: str, batch: int) -> dict[str, Any]:
    return {"activation": activation, "normalization": normalization, "training.batch_size": batch}


def test_two_levels_are_compared_at_every_setting_that_is_not_named() -> None:
    found = pairs(study({"metric": "test_error", "contrast": {"activation": ["elu", "relu"]}}))
    settings = [(normalization, batch) for normalization in ("none", "batch") for batch in (2, 32)]
    assert found == [[(cell("elu", *setting), cell("relu", *setting)) for setting in settings]]


def test_one_level_says_where_and_two_factors_name_two_cells() -> None:
    where = {"activation": ["elu", "relu"], "normalization": "batch", "training.batch_size": 2}
    found = pairs(study({"metric": "test_error", "contrast": where}))
    assert found == [[(cell("elu", "batch", 2), cell("relu", "batch", 2))]]
    two = {"activation": ["elu", "relu"], "normalization": ["batch", "none"], "training.batch_size": "32"}
    found = pairs(study({"metric": "test_error", "contrast": two}))
    assert found == [[(cell("elu", "batch", 32), cell("relu", "none", 32))]]


def test_the_reference_is_a_test_for_each_cell_that_has_one() -> None:
    found = pairs(study({"metric": "dead_unit_rate", "contrast": "reference"}))
    assert len(found) == 12 - 2
    assert all(len(pair) == 1 and pair[0][1]["activation"] == "relu" for pair in found)


def test_a_cell_that_is_not_run_leaves_its_setting_out() -> None:
    missing = {"exclude": [{"activation": "elu", "normalization": "batch", "training.batch_size": 2}]}
    found = pairs(study({"metric": "test_error", "contrast": {"activation": ["elu", "relu"]}}, **missing))
    assert [levels["training.batch_size"] for levels, _ in found[0] if levels["normalization"] == "batch"] == [32]


def test_questions_are_the_studys_and_no_trials() -> None:
    asked = study({"metric": "test_error", "contrast": {"activation": ["elu", "relu"]}})
    assert [c.config.digest() for c in asked.cells] == [c.config.digest() for c in study().cells]


@pytest.mark.parametrize(
    ("question", "path", "said"),
    [
        ({"metric": "dead_units_rate", "contrast": "reference"}, "metric", "did you mean dead_unit_rate"),
        ({"metric": "steps_to_target", "contrast": "reference"}, "metric", "ask epochs_to_target"),
        ({"metric": "collapse_rate", "contrast": "reference"}, "metric", "is no metric of a trial"),
        ({"metric": "srank", "contrast": "reference"}, "metric", "give `probes: {spectrum: {}}`"),
        ({"metric": "dormant_rate", "contrast": "reference"}, "metric", "such as dormant_rate_0.025"),
        ({"metric": "test_error", "contrast": {"activation": ["elu", "tanh"]}}, "contrast.activation", "tanh"),
        ({"metric": "test_error", "contrast": {"activation": ["elu", "rely"]}}, "contrast.activation", "relu"),
        ({"metric": "test_error", "contrast": {"activaton": ["elu", "relu"]}}, "contrast.activaton", "activation"),
        ({"metric": "test_error", "contrast": {"training.batch_size": [2, 16]}}, "contrast.training.batch_size", "16"),
        ({"metric": "test_error", "contrast": {"activation": "elu"}}, "contrast", "compares nothing"),
        ({"metric": "test_error", "contrast": {"activation": ["elu", "elu"]}}, "contrast.activation", "name two"),
        ({"metric": "test_error", "contrast": {"activation": ["elu"]}}, "contrast.activation", "give two"),
        ({"metric": "test_error", "contrast": {}}, "contrast", ""),
        ({"metric": "test_error", "contrast": "refrence"}, "contrast", "reference"),
        ({"metric": "test_error"}, "contrast", ""),
        ({"metric": "test_error", "contrast": "reference", "alpha": 0.1}, "alpha", ""),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_at_its_path(question: Any, path: str, said: str) -> None:
    found = faults(question)
    (where,) = (place for place in found if place.startswith(f"questions.0.{path}"))
    assert said in found[where]


def test_a_family_of_nothing_is_refused() -> None:
    assert "family of nothing" in faults(questions=[])["questions"]
    alone = {"factors": {"activation": ["relu"]}}
    assert (
        "no cell has a reference cell"
        in faults({"metric": "test_error", "contrast": "reference"}, **alone)["questions.0.contrast"]
    )
    asked = {"metric": "test_error", "contrast": {"activation": ["elu", "relu"]}}
    assert "asked twice" in faults(asked, asked)["questions.1"]


def test_a_bare_name_that_stands_for_two_cells_is_refused_with_the_mend() -> None:
    slopes = [{"name": "leaky_relu", "negative_slope": slope} for slope in (0.01, 0.1)]
    question = {"metric": "test_error", "contrast": {"activation": ["leaky_relu", "relu"]}}
    found = faults(question, factors={"activation": ["relu", *slopes]})
    assert "give the level with its parameters" in found["questions.0.contrast"]
    named = {"metric": "test_error", "contrast": {"activation": [slopes[1], "relu"]}}
    assert len(pairs(study(named, factors={"activation": ["relu", *slopes]}))) == 1


def test_sides_that_are_never_run_together_are_refused() -> None:
    question = {"metric": "test_error", "contrast": {"activation": ["elu", "relu"], "normalization": "batch"}}
    found = faults(question, exclude=[{"activation": "elu", "normalization": "batch"}])
    assert "at no setting" in found["questions.0.contrast"]


def test_a_family_is_told_the_seeds_that_it_needs() -> None:
    asked = [{"metric": "dead_unit_rate", "contrast": "reference"}]
    (family,) = families_of(study(*asked))
    assert (family.named, family.tests, family.seeds, family.seeds_needed) == (True, 10, 8, 9)
    assert family.smallest_p == pytest.approx(10 / 128)
    said = too_few_seeds([family])
    assert said is not None
    assert said.startswith("8 seeds cannot answer its questions: over 10 tests") and said.endswith("9 seeds can")
    assert too_few_seeds(families_of(study(*asked, seeds=9))) is None
    unasked = families_of(study(seeds=3))
    assert [family.metrics for family in unasked] == [("dead_unit_rate",), ("epochs_to_target",), ("test_error",)]
    assert "contrasts of dead_unit_rate with the reference" in (too_few_seeds(unasked) or "")
    assert families_of(study(factors={})) == [], "one cell is compared with nothing"


def report(design: Design, *, failed: dict[str, Any] | None = None, outcome: str = "diverged") -> Report:
    """By made-up trials: errors of .1 and up by activation and batch, dead units in ReLU alone."""
    rng = np.random.default_rng(3)
    rows = []
    for number, (own, config) in enumerate(design.trials()):
        relu, small = config.activation.name == "relu", config.training.batch_size == 2
        lost = failed is not None and all(own.cell[path] == level for path, level in failed.items())
        rows.append(
            {
                "trial_id": number,
                "cell": own.index,
                "seed": config.seed,
                "state": "succeeded",
                "outcome": outcome if lost else "learned",
                "test_error": 0.9 if lost else 0.1 + 0.02 * relu + 0.05 * small + 0.005 * rng.normal(),
                "dead_unit_rate": (0.3 + 0.02 * rng.normal()) * relu,
            }
        )
    return build_report(
        study_id=1,
        revision=1,
        spec=design.spec,
        cells=[(c.index, c.cell, c.config) for c in design.cells],
        trials=pd.DataFrame(rows),
        curves=pd.DataFrame({"trial_id": [], "step": [], "value": []}),
    )


def test_answers_average_settings_within_the_seed_and_are_corrected_together() -> None:
    design = study(
        {"metric": "test_error", "contrast": {"activation": ["relu", "elu"]}},
        {"metric": "dead_unit_rate", "contrast": {"activation": ["relu", "elu"], "training.batch_size": 2}},
        {"metric": "test_error", "contrast": {"normalization": ["batch", "none"]}},
    )
    made = report(design)
    error, dead, norm = made.questions
    assert (error.settings, dead.settings, norm.settings) == (4, 2, 6)
    assert error.cell == {"activation": "relu"} and error.reference == {"activation": "elu"}
    assert dead.cell == {"activation": "relu", "training.batch_size": 2}
    assert error.difference == pytest.approx(0.02, abs=0.005)
    assert error.low is not None and error.low > 0.0
    assert dead.low is not None and dead.low > 0.2
    p = np.array([row.p for row in made.questions], dtype=np.float64)
    assert [row.p_holm for row in made.questions] == pytest.approx(holm(p).tolist())
    assert error.p == dead.p == 2.0**-7
    assert all(row.confirmatory for row in made.questions)
    assert not any(row.confirmatory or row.p_holm is not None for row in made.contrasts), "all else is exploratory"
    by_cell = {cell.index: cell for cell in design.cells}
    assert len(by_cell) == 12


def test_the_answer_is_the_slow_mean_over_settings() -> None:
    design = study({"metric": "test_error", "contrast": {"activation": ["relu", "elu"]}})
    made = report(design)
    rng = np.random.default_rng(3)
    values: dict[tuple[int, int], float] = {}
    for own, config in design.trials():
        noise = rng.normal()
        rng.normal()
        base = 0.1 + 0.02 * (config.activation.name == "relu") + 0.05 * (config.training.batch_size == 2)
        values[own.index, config.seed] = base + 0.005 * noise

    def side(name: str) -> list[float]:
        own = [cell.index for cell in design.cells if cell.cell["activation"] == name]
        return [float(np.mean([values[index, seed] for index in own])) for seed in range(8)]

    difference = np.subtract(side("relu"), side("elu"))
    assert made.questions[0].difference == pytest.approx(difference.mean())
    assert made.questions[0].p == pytest.approx(sign_flip_p(difference[None])[0])


def test_a_network_that_always_diverges_is_never_compared_and_its_error_is_chance() -> None:
    """PReLU was NaN in twelve of twelve seeds and had won, by the error of its last finite frame, with p = .0015."""
    lost = {"activation": "elu", "normalization": "none", "training.batch_size": 32}
    design = study({"metric": "test_error", "contrast": {"activation": ["elu", "relu"], **_where(lost)}})
    made = report(design, failed=lost)
    (answer,) = made.questions
    assert (answer.difference, answer.low, answer.p, answer.p_holm, answer.n) == (None, None, None, None, 0)
    assert (answer.diverged, answer.collapsed) == (8, 8)
    assert answer.without_diverged is not None and answer.without_diverged.n == 0
    (own,) = (entry for entry in made.cells if entry.cell == lost)
    error = own.metrics["test_error"]
    assert error.estimate == pytest.approx(0.9)
    assert error.low is not None and error.high is not None and error.low < 0.9 < error.high <= 1.0
    assert (own.collapse_rate.estimate, own.diverged, own.learned) == (1.0, 8, {})
    rows = [row for row in made.contrasts if row.cell == lost]
    assert rows and all(row.difference is None and row.p is None for row in rows)


def test_a_network_that_always_stalls_is_compared_as_what_it_ended_as() -> None:
    lost = {"activation": "elu", "normalization": "none", "training.batch_size": 32}
    made = report(study(), failed=lost, outcome="stalled")
    (row,) = (row for row in made.contrasts if row.cell == lost and row.metric == "test_error")
    assert row.difference == pytest.approx(0.78, abs=0.02)
    assert (row.diverged, row.collapsed, row.without_diverged) == (0, 8, None)
    assert row.learned is not None and row.learned.n == 0
    assert made.small_batch is not None
    assert list(made.small_batch.left_out) == [lost], "its error is that of chance at any batch"
    points = {(c.normalization, p.batch_size): p for c in made.small_batch.curves for p in c.points}
    assert [points["none", batch].error.estimate for batch in (2, 32)][1] is None
    assert all(points["batch", batch].error.n == 8 for batch in (2, 32))
    apart = {(c.activation, c.normalization): c.points for c in made.small_batch.by_activation}
    assert [p.error.n for p in apart["elu", "none"]] == [8, 0] and [p.error.n for p in apart["relu", "none"]] == [8, 8]


def _where(levels: dict[str, Any]) -> dict[str, Any]:
    return {path: level for path, level in levels.items() if path != "activation"}
