"""Generated datasets against their closed forms; and how a task and a pack hold them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from actinium.datasets.table import DATASETS
from actinium.errors import InvalidInput
from actinium.frame import LaneFinished
from actinium.study import expand, parse_study
from actinium.trial import Task, TrialConfig
from workers.datasets import Arrays, load, load_task
from workers.datasets.generated import GENERATED, GENERATED_WITH_TARGETS
from workers.training.batches import PackData, pack_data
from workers.training.train import train_pack

NAMES = [name for name, definition in DATASETS.items() if definition.generated()]
MANY = 20_000


def drawn(name: str, *, seed: int = 0, **parameters: Any) -> Arrays:
    """The examples of a task."""
    return load_task(Task(dataset=name, parameters=parameters), seed=seed)


def below(x: float) -> float:
    """Phi, the normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def share(wrong: Tensor) -> float:
    """The share of what is true."""
    return float(wrong.double().mean())


def linear_error(arrays: Arrays) -> float:
    """Training error of the least-squares line: no linear rule does much better where classes are balanced."""
    flat = arrays.inputs.flatten(1).double()
    design = torch.cat([flat, torch.ones(len(flat), 1, dtype=torch.float64)], dim=1)
    signs = arrays.labels.double() * 2 - 1
    weights = torch.linalg.lstsq(design, signs[:, None]).solution[:, 0]
    return share((design @ weights > 0) != (signs > 0))


def test_every_definition_has_its_function() -> None:
    """Under the same names; none is read from files."""
    assert sorted([*GENERATED, *GENERATED_WITH_TARGETS]) == sorted(NAMES)
    assert all((DATASETS[name].objective == "classification") == (name in GENERATED) for name in NAMES)
    with pytest.raises(InvalidInput, match=r"call workers\.datasets\.load_task"):
        load("xor")


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_the_seeds_own(name: str) -> None:
    """Of the defined shape, finite, balanced; the same for a seed, others for another, one for a numeric split seed."""
    arrays, definition = drawn(name), DATASETS[name]
    assert arrays.inputs.shape == (definition.examples, *definition.shape)
    assert (arrays.inputs.dtype, arrays.labels.dtype) == (torch.float32, torch.int64)
    assert arrays.inputs.isfinite().all()
    assert arrays.labels.bincount().unique().tolist() == [definition.examples // max(1, definition.classes)]
    assert (arrays.targets is None) == (definition.objective == "classification")
    assert torch.equal(drawn(name, examples=definition.examples).inputs, arrays.inputs)
    assert not torch.equal(drawn(name, seed=1).inputs, arrays.inputs)
    shared = Task(dataset=name, split_seed=7)
    assert torch.equal(load_task(shared, seed=0).inputs, load_task(shared, seed=1).inputs)
    assert torch.equal(load_task(shared, seed=0).inputs, drawn(name, seed=7).inputs)


def test_two_spirals_lie_on_their_curves_and_no_line_parts_them() -> None:
    """Without noise angle and radius agree exactly; the nearest neighbour tells what a line cannot."""
    arrays = drawn("two_spirals", noise=0.0, turns=2.0, examples=2000)
    x, y = arrays.inputs[:, 0, 0, 0].double(), arrays.inputs[:, 1, 0, 0].double()
    radius = (x.square() + y.square()).sqrt()
    angle = 4 * math.pi * radius + math.pi * arrays.labels
    torch.testing.assert_close(torch.stack([x, y]), radius * torch.stack([angle.cos(), angle.sin()]), atol=2e-5, rtol=0)
    assert abs(float(radius.mean()) - 0.5) < 0.03 and float(radius.max()) <= 1.0
    points = arrays.inputs.flatten(1)
    nearest = torch.cdist(points, points).fill_diagonal_(math.inf).argmin(1)
    assert share(arrays.labels[nearest] != arrays.labels) < 0.02
    assert linear_error(arrays) > 0.3


@pytest.mark.parametrize("noise", [0.3, 0.7, 1.5])
def test_xor_has_its_best_error(noise: float) -> None:
    """2 p (1 - p), p = Phi(-1 / noise), for the rule of signs; a line does no better than chance."""
    arrays = drawn("xor", noise=noise, examples=MANY)
    x, y = arrays.inputs[:, 0, 0, 0], arrays.inputs[:, 1, 0, 0]
    p = below(-1 / noise)
    best = 2 * p * (1 - p)
    assert abs(share((x * y < 0) != (arrays.labels == 1)) - best) < 4 * math.sqrt(best * (1 - best) / MANY) + 1e-9
    assert linear_error(arrays) > 0.48


@pytest.mark.parametrize(("classes", "separation"), [(2, 2.0), (4, 1.0), (2, 0.0)])
def test_gaussian_blobs_have_their_best_error(classes: int, separation: float) -> None:
    """2 (K - 1) / K Phi(-separation / 2) for the nearest mean; the other features say nothing."""
    arrays = drawn("gaussian_blobs", classes=classes, separation=separation, examples=MANY, dimensions=3)
    flat = arrays.inputs.flatten(1).double()
    nearest = (flat[:, :1] - separation * torch.arange(classes)).abs().argmin(1)
    best = 2 * (classes - 1) / classes * below(-separation / 2)
    assert abs(share(nearest != arrays.labels) - best) < 4 * math.sqrt(best * (1 - best) / MANY)
    for label in range(classes):
        of_class = flat[arrays.labels == label]
        assert float((of_class.mean(0) - torch.tensor([separation * label, 0, 0])).abs().max()) < 0.06
        assert float((of_class.T.cov() - torch.eye(3)).abs().max()) < 0.06


def test_contrast_is_all_that_instance_normalization_takes_away() -> None:
    """Deviations are the levels; after normalization by image the classes are alike."""
    arrays = drawn("contrast_level", classes=5, size=12, examples=5000)
    deviation = arrays.inputs.double().square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(deviation, (arrays.labels + 1).double() / 5, atol=1e-6, rtol=0)
    assert float(arrays.inputs.mean((1, 2, 3)).abs().max()) < 1e-6
    normal = functional.instance_norm(arrays.inputs.double(), eps=0.0)
    fourth = torch.stack([normal[arrays.labels == label].pow(4).mean() for label in range(5)])
    assert float((fourth - fourth.mean()).abs().max()) < 0.06
    assert abs(float(fourth.mean()) - 3 * (143 / 145)) < 0.05, "of a uniform direction in 143 dimensions"


def test_brightness_is_an_images_mean() -> None:
    """Means are the levels exactly, deviations are the noise."""
    arrays = drawn("brightness_level", classes=3, noise=0.4)
    images = arrays.inputs.double()
    torch.testing.assert_close(images.mean((1, 2, 3)), arrays.labels.double() / 2, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        images.std((1, 2, 3), correction=0), torch.full((1000,), 0.4, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_phases_differ_in_the_third_moment_and_not_in_energy() -> None:
    """E x = 0, E x^2 = 5/8 + noise^2 for every phase p, E x^3 = 3/8 cos p."""
    classes, noise = 4, 0.2
    arrays = drawn("phase_textures", classes=classes, noise=noise, size=16, examples=MANY)
    for label in range(classes):
        images = arrays.inputs[arrays.labels == label].double()
        assert abs(float(images.mean())) < 0.02
        assert abs(float(images.square().mean()) - (0.625 + noise**2)) < 0.02
        assert abs(float(images.pow(3).mean()) - 0.375 * math.cos(2 * math.pi * label / classes)) < 0.03


def test_parameters_are_checked_completed_and_counted() -> None:
    """Defaults are filled in; sizes follow; a digest holds every parameter."""
    assert Task(dataset="xor").parameters == {"examples": 1000, "noise": 0.3}
    assert Task().parameters == {}
    task = Task(dataset="gaussian_blobs", parameters={"dimensions": 7, "classes": 3, "examples": 50})
    definition = task.definition()
    assert (definition.shape, definition.classes, definition.examples) == ((7, 1, 1), 3, 50)
    assert task.counts() == (30, 10, 10)
    noisy = Task(dataset="xor", parameters={"noise": 0.4})
    assert TrialConfig(task=noisy).digest() != TrialConfig(task=Task(dataset="xor")).digest()
    assert Task.model_validate(noisy.model_dump(mode="json")) == noisy


@pytest.mark.parametrize(
    ("task", "path", "words"),
    [
        ({"dataset": "xor", "parameters": {"noize": 1}}, "task.parameters.noize", "did you mean noise"),
        ({"dataset": "xor", "parameters": {"noise": -1}}, "task.parameters.noise", "at least 0"),
        ({"dataset": "xor", "parameters": {"examples": 10}}, "task.parameters.examples", "at least 20"),
        ({"dataset": "digits", "parameters": {"noise": 1}}, "task.parameters.noise", "no such parameter"),
    ],
)
def test_what_is_wrong_with_parameters(task: dict[str, Any], path: str, words: str) -> None:
    """At its path, with the mend."""
    with pytest.raises(InvalidInput) as caught:
        parse_study({"name": "s", "task": task})
    assert {fault.path: fault.message for fault in caught.value.errors}.keys() == {path}
    assert words in str(caught.value)


def test_datasets_and_their_parameters_are_factors() -> None:
    """A cell that names another dataset has that one's parameters."""
    document: dict[str, Any] = {"name": "s", "task": {"dataset": "xor", "parameters": {"noise": 0.5}}}
    noises = expand(parse_study({**document, "factors": {"task.parameters.noise": [0.1, 0.2]}})).cells
    assert [cell.config.task.parameters["noise"] for cell in noises] == [0.1, 0.2]
    assert [cell.cell for cell in noises] == [{"task.parameters.noise": 0.1}, {"task.parameters.noise": 0.2}]
    both = expand(parse_study({**document, "factors": {"task.dataset": ["xor", "two_spirals", "digits"]}})).cells
    assert [cell.config.task.parameters.get("noise") for cell in both] == [0.5, 0.02, None]
    included = {"task.dataset": "two_spirals", "task.parameters.turns": 3.0}
    cells = expand(parse_study({"name": "s", "include": [included]})).cells
    assert cells[-1].config.task.parameters["turns"] == 3.0


def test_a_network_learns_what_a_line_cannot() -> None:
    """XOR: with relu near the best error, 2 p (1 - p) = 0.0009; without a nonlinearity near chance."""
    document = {
        "task": {"dataset": "xor"},
        "model": {"kind": "mlp", "depth": 1, "width": 16},
        "training": {"epochs": 10, "batch_size": 30},
        "probes": {"schedule": {"points": 2}},
    }
    configs = [TrialConfig.model_validate({**document, "activation": name}) for name in ("relu", "linear")]
    ends = {event.lane: event.summary for event in train_pack(configs) if isinstance(event, LaneFinished)}
    assert ends[0].metrics["test_error"] <= 0.02
    assert ends[1].metrics["test_error"] >= 0.3


def packed(seeds: list[int], **task: Any) -> PackData:
    """The data of a pack with a lane a seed."""
    configs = [TrialConfig.model_validate({"task": {"dataset": "xor", **task}, "seed": seed}) for seed in seeds]
    return pack_data(configs, lane_axis=0, device="cpu", data_root=None)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_lane_sees_its_own_examples_in_any_company(part: str) -> None:
    """Scaled inputs and labels of a lane are bit for bit those that it has alone."""
    of_part: Callable[[PackData], Tensor] = lambda data: getattr(data, part)  # noqa: E731
    together = packed([3, 5, 3, 9])
    inputs, labels = together.take(of_part(together))
    for lane, seed in enumerate([3, 5, 3, 9]):
        alone = packed([seed])
        own_inputs, own_labels = alone.take(of_part(alone))
        assert torch.equal(inputs[lane], own_inputs[0]) and torch.equal(labels[lane], own_labels[0])
    assert not torch.equal(inputs[0], inputs[1])
    one = packed([3, 5], split_seed=1)
    assert one.inputs.shape[0] == 1000 and together.inputs.shape[0] == 3000


@pytest.mark.parametrize(("function", "variance"), [("sine", 1 / 2), ("step", 1.0), ("abs", 1 / 12), ("linear", 1 / 3)])
def test_a_regression_leaves_its_noise_unexplained(function: str, variance: float) -> None:
    """x is uniform on (-1, 1); what f explains of the targets is all but noise^2 / (Var f + noise^2)."""
    arrays = drawn("regression_1d", examples=MANY, function=function, noise=0.5)
    assert arrays.targets is not None
    x, t = arrays.inputs.flatten().double(), arrays.targets[:, 0].double()
    assert abs(float(x.mean())) < 0.02 and abs(float(x.square().mean()) - 1 / 3) < 0.01 and float(x.abs().max()) <= 1
    f = {"sine": (2 * math.pi * x).sin(), "step": x.sign(), "abs": x.abs(), "linear": x}[function]
    unexplained = float((t - f).square().mean() / t.var(correction=0))
    assert unexplained == pytest.approx(0.25 / (variance + 0.25), rel=0.03)
    assert abs(float(((t - f) * x).mean())) < 0.01
