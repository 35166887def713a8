"""Small-batch degradation against the published table of group normalization (Wu & He 2018, table 2)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actinium.statistics.degradation import area, degradation, difference_in_differences

BATCHES = np.array([2.0, 4.0, 8.0, 16.0, 32.0])
BATCH_NORM = np.array([34.7, 27.3, 24.8, 23.7, 23.6])[:, None]
GROUP_NORM = np.array([24.1, 24.2, 24.0, 24.2, 24.1])[:, None]
"""ResNet-50 on ImageNet, validation error in percent, batches per GPU as above."""

ERRORS = st.lists(st.floats(0.0, 1.0), min_size=15, max_size=15).map(lambda v: np.array(v).reshape(5, 3))


def test_the_published_table() -> None:
    batch, group = degradation(BATCH_NORM, reference=4), degradation(GROUP_NORM, reference=4)
    assert batch[:, 0] == pytest.approx([11.1, 3.7, 1.2, 0.1, 0.0])
    assert difference_in_differences(batch, group)[0, 0] == pytest.approx(11.1)
    assert area(batch, BATCHES) == pytest.approx([10.55])
    assert area(group, BATCHES) == pytest.approx([0.10])


@given(ERRORS, ERRORS)
def test_difference_in_differences_is_antisymmetric(one: np.ndarray, other: np.ndarray) -> None:
    one, other = degradation(one, reference=4), degradation(other, reference=4)
    assert difference_in_differences(one, other).tolist() == (-difference_in_differences(other, one)).tolist()
    assert (one[4] == 0).all()


@given(ERRORS, st.floats(-1.0, 1.0))
def test_an_error_that_every_batch_shares_is_no_degradation(errors: np.ndarray, shift: float) -> None:
    assert degradation(errors + shift, 4) == pytest.approx(degradation(errors, 4), abs=1e-12)


def test_area_needs_two_batch_sizes_and_every_value() -> None:
    assert np.isnan(area(np.zeros((1, 3)), np.array([8.0]))).all()
    delta = np.array([[0.2, np.nan], [0.0, 0.0]])
    assert area(delta, np.array([8.0, 32.0])).tolist() == pytest.approx([0.2, np.nan], nan_ok=True)
