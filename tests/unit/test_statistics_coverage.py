"""The report's 95% intervals hold the truth about as often as they say, for all that was named as difficult."""

import pytest
from interval_coverage import SEEDS, Case, cases, coverage

REPETITIONS = 1000
CHANCE = 2.0
"""In percent: three standard errors of a coverage of 95% in a thousand samples."""


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.words)
def test_intervals_cover(case: Case) -> None:
    truth = case.truth()
    for seeds in SEEDS:
        found = coverage(case, seeds=seeds, repetitions=REPETITIONS, truth=truth)
        assert case.least - CHANCE <= found.product <= case.most + CHANCE, f"{seeds} seeds"
        assert found.without_width == 0
