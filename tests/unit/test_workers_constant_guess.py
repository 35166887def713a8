"""Whether a network beats the best constant guess: moments by enumeration, and rates by simulation."""

import itertools

import numpy as np
import pytest

from workers.training.constant_guess import beyond_luck, learned_classes, noise_of_variance


def balanced(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The mean over classes of the share found of each, by its definition."""
    return float(np.mean([np.mean(predicted[labels == kind] == kind) for kind in set(labels.tolist())]))


@pytest.mark.parametrize("sizes", [(1, 1), (8, 8), (2, 14), (1, 99), (3, 1, 1, 1)])
def test_a_perfect_network_passes_at_every_size_and_imbalance(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    assert learned_classes(labels, labels)


@pytest.mark.parametrize("sizes", [(1, 1), (8, 8), (2, 14), (1, 99), (5,)])
def test_a_constant_guess_never_passes(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    for kind in range(len(sizes)):
        assert not learned_classes(np.full_like(labels, kind), labels)


def test_one_error_in_sixteen_has_learned_and_the_majority_alone_has_not() -> None:
    labels = np.repeat([0, 1], 8)
    one_wrong = labels.copy()
    one_wrong[0] = 1
    assert learned_classes(one_wrong, labels)
    rare = np.repeat([0, 1], [95, 5])
    assert not learned_classes(np.zeros_like(rare), rare), "95% right, and nothing learned"


def test_the_moments_are_those_of_all_orders_of_the_labels() -> None:
    """The threshold of the test, found by moving one prediction at a time, lies where the exact moments put it."""
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2, 2])
    values = [balanced(predicted, np.array(order)) for order in itertools.permutations(labels.tolist())]
    classes, counts = np.unique(labels, return_counts=True)
    q = np.array([(predicted == kind).mean() for kind in classes])
    variance = ((q * (1 - q) * (6 - counts) / counts).sum() + q.sum() ** 2 - (q**2).sum()) / (9 * 5)
    assert np.mean(values) == pytest.approx(q.sum() / 3)
    assert np.var(values) == pytest.approx(variance)


@pytest.mark.parametrize(("classes", "examples"), [(2, 16), (10, 100), (10, 360)])
def test_guesses_at_random_hardly_ever_pass(classes: int, examples: int) -> None:
    draws = np.random.default_rng(5)
    passed = sum(
        learned_classes(draws.integers(0, classes, examples), draws.integers(0, classes, examples)) for _ in range(1000)
    )
    assert passed <= 10, "the test is one-sided at .001, by a normal distribution that small parts only approach"


@pytest.mark.parametrize("count", [1, 4, 16, 100, 10_000])
def test_perfect_numbers_pass_at_every_size(count: int) -> None:
    assert beyond_luck(0.2, count) < 1.0
    assert noise_of_variance(count) <= 0.5
    assert beyond_luck(0.2, 10_000) == pytest.approx(0.2 + 3.09 * 0.004)
