"""What lanes draw inside a training step."""

import torch

from workers.draws import StepDraws


def test_a_lane_draws_alone_what_it_draws_in_company() -> None:
    pack, solo = StepDraws([3, 5, 3], 7), StepDraws([5], 7)
    together = pack.uniform("dropout", "layer_01", slice(0, 3), (4, 2))
    assert together.shape == (3, 4, 2)
    assert torch.equal(together[0], together[2])
    assert torch.equal(together[1:2], solo.uniform("dropout", "layer_01", slice(0, 1), (4, 2)))
    assert torch.equal(together[1:], pack.uniform("dropout", "layer_01", slice(1, 3), (4, 2)))


def test_seeds_steps_layers_and_names_draw_apart() -> None:
    draws = [
        StepDraws([seed], step).normal(name, layer, slice(0, 1), (50,))
        for seed, step, name, layer in [
            (0, 0, "noise", "layer_01"),
            (1, 0, "noise", "layer_01"),
            (0, 1, "noise", "layer_01"),
            (0, 0, "other", "layer_01"),
            (0, 0, "noise", "layer_02"),
        ]
    ]
    for place, one in enumerate(draws):
        assert not any(torch.equal(one, other) for other in draws[place + 1 :])


def test_draws_have_the_moments_of_their_law_and_the_asked_type() -> None:
    draws = StepDraws([0], 0, dtype=torch.float64)
    uniform = draws.uniform("u", "layer_01", slice(0, 1), (20_000,))
    normal = draws.normal("n", "layer_01", slice(0, 1), (20_000,))
    assert uniform.dtype == normal.dtype == torch.float64
    assert abs(float(uniform.mean()) - 0.5) < 0.01 and abs(float(uniform.var()) - 1 / 12) < 0.003
    assert abs(float(normal.mean())) < 0.03 and abs(float(normal.var()) - 1.0) < 0.04
    assert float(uniform.min()) >= 0.0 and float(uniform.max()) < 1.0
