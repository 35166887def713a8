"""Families of contrasts that are corrected together, and how many seeds they need."""

import math
from collections.abc import Sequence

from actinium.questions import EPOCHS_TO_TARGET, asked_pairs
from actinium.reference_cells import References
from actinium.report import ContrastFamily
from actinium.study import Design, DesignCell, StudySpec, compared_cells

ALPHA = 0.05
"""A contrast below it after Holm's correction is called different."""

HEADLINES = ("dead_unit_rate", EPOCHS_TO_TARGET, "test_error")
"""Where a study names no questions, the contrasts with the reference are corrected for each of these by itself."""


def smallest_p(seeds: int, tests: int = 1) -> float:
    """The least p value that the two-sided sign-flip test can give, 2^(1 - S), after Holm's correction over so many
    tests.
    """
    return min(1.0, tests * 2.0 ** (1 - seeds))


def seeds_needed(tests: int) -> int:
    """The least number of seeds S at which one of so many tests can be below 0.05: tests * 2^(1 - S) <= 0.05."""
    return 1 + math.ceil(math.log2(tests / ALPHA)) if tests else 0


def families(spec: StudySpec, cells: Sequence[DesignCell], compared: References, *, seeds: int) -> list[ContrastFamily]:
    """The study's families, with so many seeds: its questions together; without questions, a headline metric's
    contrasts with the reference each.
    """
    if spec.questions is None:
        tests = len(compared.pairs)
        return [_family((metric,), tests, seeds, named=False) for metric in HEADLINES if tests]
    metrics = tuple(dict.fromkeys(question.metric for question in spec.questions))
    resolved = [(cell.cell, cell.config) for cell in cells]
    tests = sum(len(asked_pairs(question, resolved, compared)) for question in spec.questions)
    return [_family(metrics, tests, seeds, named=True)]


def families_of(design: Design) -> list[ContrastFamily]:
    """Those of a study that is to be run."""
    compared = compared_cells(design.spec, design.cells)
    return families(design.spec, design.cells, compared, seeds=len(design.spec.seed_list()))


def too_few_seeds(found: Sequence[ContrastFamily]) -> str | None:
    """A sentence where the seeds cannot answer, with the number that can; None where they can, or nothing is asked."""
    short = next((family for family in found if not family.answerable()), None)
    if short is None:
        return None
    what = "its questions" if short.named else f"the contrasts of {short.metrics[0]} with the reference"
    seeds = "1 seed" if short.seeds == 1 else f"{short.seeds} seeds"
    tests = "in one test no p value" if short.tests == 1 else f"over {short.tests} tests no corrected p value"
    return f"{seeds} cannot answer {what}: {tests} can be below {short.smallest_p:.2g}; {short.seeds_needed} seeds can"


def _family(metrics: tuple[str, ...], tests: int, seeds: int, *, named: bool) -> ContrastFamily:
    return ContrastFamily(
        metrics=metrics,
        named=named,
        tests=tests,
        seeds=seeds,
        smallest_p=smallest_p(seeds, tests),
        seeds_needed=seeds_needed(tests),
    )
