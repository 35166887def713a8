"""Recurrent lanes against torch.nn.RNN and torch.nn.LSTM, and against the normalized cells as their papers write them.

Legend: B examples, T time steps, F features, N units, G columns (N, or 4 N).
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actinium.levels import Activation, Initialization, Normalization
from actinium.trial import Lstm, Probes, Rnn, Schedule, Task, Training, TrialConfig
from workers.draws import StepDraws
from workers.layers import Pass, Trace
from workers.models import build_model, parameter_count
from workers.models.recurrent import LaneRecurrent
from workers.models.slices import lane_order

B, T, F, N = 6, 8, 8, 5
LEVELS = [
    ("tanh", "none"),
    ("relu", "none"),
    ("tanh", "batch"),
    ("relu", {"name": "batch", "momentum": 0.5, "eps": 1e-3}),
    ("tanh", {"name": "batch", "affine": "none"}),
    ("tanh", "layer"),
    ("elu", {"name": "layer", "affine": "scale"}),
    ("relu", {"name": "layer", "affine": "shift"}),
]
PHI = {"tanh": torch.tanh, "relu": torch.relu, "elu": functional.elu}
MODELS = [
    Rnn(width=N),
    Rnn(width=N, depth=2, normalized="input"),
    Lstm(width=N),
    Lstm(width=N, depth=2, normalized="input"),
]
NAMED = ["rnn", "rnn-input", "lstm", "lstm-input"]


def configs_of(model: Rnn | Lstm, levels: list[tuple[object, object]] = LEVELS, **fields: object) -> list[TrialConfig]:
    found = [
        TrialConfig(
            model=model,
            activation=Activation.of(activation),
            normalization=Normalization.of(normalization),
            initialization=Initialization.of(("xavier", "orthogonal")[number % 2]),
            seed=number,
            **fields,
        )
        for number, (activation, normalization) in enumerate(levels)
    ]
    return [found[lane] for lane in lane_order(found)]


def awake(configs: list[TrialConfig]) -> LaneRecurrent:
    """The networks in float64, with nothing left at a round number: scales, shifts, biases."""
    pack = build_model(configs, dtype=torch.float64)
    assert isinstance(pack, LaneRecurrent)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in pack.params.items():
            if name.endswith((".gamma", ".beta", ".bias")):
                tensor += 0.3 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return pack


def images(lanes: int, steps: int = T, seed: int = 2) -> Tensor:
    return torch.randn(lanes, B, 1, steps, F, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Plain:
    """One trial's network as the papers write it, an example of the batch a row, a time step after the other."""

    def __init__(self, config: TrialConfig, params: dict[str, Tensor], lane: int) -> None:
        self.config, self.model = config, config.model
        self.level = config.normalization
        affine = self.level.parameters.get("affine", "both")
        self.scales, self.shifts = affine in ("both", "scale"), affine in ("both", "shift")
        self.of = {name: tensor[lane] for name, tensor in params.items()}
        self.norms: dict[tuple[str, int], nn.BatchNorm1d] = {}

    def norm(self, place: str, x: Tensor, step: int, *, training: bool, shift: Tensor | None = None) -> Tensor:
        """Statistics of one time step alone (Cooijmans et al. 2017, eq. 5), or of one example (Ba et al. 2016)."""
        eps = self.level.number("eps")
        if self.level.name == "layer":
            deviation = (x.var(1, correction=0, keepdim=True) + eps).sqrt()
            y = (x - x.mean(1, keepdim=True)) / deviation
        else:
            key = place, min(step, T - 1)
            if key not in self.norms:
                momentum = self.level.number("momentum")
                self.norms[key] = nn.BatchNorm1d(x.shape[1], eps=eps, momentum=momentum, affine=False).double()
            y = self.norms[key].train(training)(x)
        y = y * self.of[f"{place}.gamma"] if self.scales else y
        return y if shift is None or not self.shifts else y + shift

    def __call__(self, sequence: Tensor, *, training: bool) -> Tensor:
        x = list(sequence[:, 0].unbind(1))
        for number in range(1, self.model.depth + 1):
            x = self.layer(f"{number:02d}", x, training)
        return x[-1] @ self.of["classifier.weight"].T + self.of["classifier.bias"]

    def layer(self, number: str, x: list[Tensor], training: bool) -> list[Tensor]:
        phi, own = PHI[self.config.activation.name], self.level.name != "none"
        everywhere = own and self.model.normalized == "everywhere"
        wx, b, wh = (
            self.of[f"layer_{number}.weight"],
            self.of[f"layer_{number}.bias"],
            self.of[f"recurrent_{number}.weight"],
        )
        h = c = x[0].new_zeros(B, N)
        states = []
        for t, x_t in enumerate(x):
            if everywhere and self.level.name == "layer" and self.model.kind == "rnn":
                a = self.norm(f"layer_{number}", x_t @ wx + h @ wh, t, training=training) + b
            else:
                driven = self.norm(f"layer_{number}", x_t @ wx, t, training=training) if own else x_t @ wx
                back = self.norm(f"recurrent_{number}", h @ wh, t, training=training) if everywhere else h @ wh
                a = driven + back + b
            if self.model.kind == "rnn":
                h = phi(a)
            else:
                g, i, f, o = a.chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * phi(g)
                beta = self.of.get(f"cell_{number}.beta")
                seen = self.norm(f"cell_{number}", c, t, training=training, shift=beta) if everywhere else c
                h = torch.sigmoid(o) * phi(seen)
            states.append(h)
        return states


@pytest.mark.parametrize("model", MODELS, ids=NAMED)
def test_lanes_are_the_papers_equations(model: Rnn | Lstm) -> None:
    """Two training batches, forward and backward, then eval mode by what they left; longer sequences as well."""
    configs = configs_of(model)
    pack = awake(configs)
    plains = [Plain(config, pack.params, lane) for lane, config in enumerate(configs)]
    names = list(pack.params)
    for seed in (2, 3):
        batch = images(len(configs), seed=seed)
        logits = pack.forward(pack.params, batch, Pass.step())
        gradients = torch.autograd.grad(logits.square().sum(), list(pack.params.values()), materialize_grads=True)
        got = dict(zip(names, gradients, strict=True))
        for lane, plain in enumerate(plains):
            expected = plain(batch[lane], training=True)
            torch.testing.assert_close(logits[lane], expected, rtol=1e-9, atol=1e-9)
            wanted = torch.autograd.grad(expected.square().sum(), list(pack.params.values()), materialize_grads=True)
            for name, gradient in zip(names, wanted, strict=True):
                frozen = name.endswith(".bias") and name[:5] == "layer" and plain.level.name != "none"
                if not (frozen and not plain.shifts):
                    torch.testing.assert_close(got[name][lane], gradient[lane], rtol=1e-7, atol=1e-9, msg=name)
                else:
                    assert not got[name][lane].any()
    for steps in (T, T + 3):
        batch = images(len(configs), steps, seed=4)
        with torch.no_grad():
            evaluated = pack.forward(pack.params, batch, Pass.evaluation())
            for lane, plain in enumerate(plains):
                torch.testing.assert_close(evaluated[lane], plain(batch[lane], training=False), rtol=1e-9, atol=1e-9)


def torch_module(config: TrialConfig, params: dict[str, Tensor], lane: int) -> nn.Module:
    """torch.nn's own module with a lane's weights: rows are gates, in the order input, forget, cell, output."""
    model = config.model
    if model.kind == "rnn":
        module = nn.RNN(F, N, model.depth, nonlinearity=config.activation.name, batch_first=True)
    else:
        module = nn.LSTM(F, N, model.depth, batch_first=True)
    module = module.double()
    with torch.no_grad():
        for number in range(model.depth):
            for place, suffix in (("layer", "weight_ih"), ("recurrent", "weight_hh"), ("layer", "bias_ih")):
                kind = "bias" if suffix == "bias_ih" else "weight"
                values = params[f"{place}_{number + 1:02d}.{kind}"][lane]
                values = values if kind == "bias" else values.T
                if model.kind == "lstm":
                    g, i, f, o = values.chunk(4)
                    values = torch.cat([i, f, g, o])
                getattr(module, f"{suffix}_l{number}").copy_(values)
            getattr(module, f"bias_hh_l{number}").zero_()
    return module


@pytest.mark.parametrize("model", [Rnn(width=N, depth=2), Lstm(width=N, depth=2)], ids=["rnn", "lstm"])
def test_without_normalization_they_are_torchs_own(model: Rnn | Lstm) -> None:
    levels: list[tuple[object, object]] = [("tanh", "none"), ("tanh", "none")]
    configs = configs_of(model, levels if model.kind == "lstm" else [*levels, ("relu", "none")])
    pack = awake(configs)
    batch = images(len(configs)).requires_grad_()
    trace = Trace()
    logits = pack.forward(pack.params, batch, Pass.step(trace=trace))
    (into,) = torch.autograd.grad(logits.square().sum(), batch)
    for lane, config in enumerate(configs):
        module, x = torch_module(config, pack.params, lane), batch[lane, :, 0].detach().requires_grad_()
        states, _ = module(x)
        expected = states[:, -1] @ pack.params["classifier.weight"][lane].T + pack.params["classifier.bias"][lane]
        torch.testing.assert_close(logits[lane], expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(into[lane, :, 0], torch.autograd.grad(expected.square().sum(), x)[0])
        torch.testing.assert_close(trace.activations[-1][lane].view(T, B, N), states.transpose(0, 1))


@pytest.mark.parametrize("model", [Rnn(width=N, depth=2), Lstm(width=N, depth=2)], ids=["rnn", "lstm"])
def test_a_trace_is_a_node_for_all_time_steps(model: Rnn | Lstm) -> None:
    """The bias is added to every z, so that its gradient is the sum of theirs; a trace changes no logit."""
    configs = configs_of(model, [("tanh", "none"), ("tanh", "layer"), ("elu", "batch")])
    pack, trace = awake(configs), Trace()
    batch = images(3)
    plain = pack.forward(pack.params, batch, Pass.measuring())
    traced = pack.forward(pack.params, batch, Pass.measuring(trace=trace))
    assert torch.equal(plain, traced)
    assert [tuple(z.shape) for z in trace.preactivations] == [(3, T * B, N)] * 2
    loss = traced.square().sum()
    by_z = torch.autograd.grad(loss, [*trace.preactivations, *trace.activations], retain_graph=True)
    assert all(gradient.abs().sum() > 0 for gradient in by_z)
    (bias,) = torch.autograd.grad(loss, pack.params["layer_02.bias"])
    torch.testing.assert_close(by_z[1].sum(1), bias[:, :N])
    if model.kind == "rnn":
        for lane, config in enumerate(configs):
            phi = PHI[config.activation.name]
            torch.testing.assert_close(phi(trace.preactivations[0][lane]), trace.activations[0][lane])


def test_starts() -> None:
    """Each block by the rule with its own fans and draws; identity, forget biases, scales of batch normalization."""
    levels: list[tuple[object, object]] = [("tanh", "none"), ("tanh", "batch"), ("tanh", "layer")]
    lstm = build_model(configs_of(Lstm(width=N, depth=2, forget_bias=2.0), levels))
    names = [config.normalization.name for config in lstm.configs]
    for lane, config in enumerate(lstm.configs):
        blocks = lstm.params["recurrent_02.weight"][lane].chunk(4, 1)
        if config.initialization.name == "orthogonal":
            for block in blocks:
                torch.testing.assert_close(block.T @ block, torch.eye(N))
        assert all(not torch.equal(blocks[0], block) for block in blocks[1:])
    cell, read, forget, write = lstm.params["layer_01.bias"].chunk(4, 1)
    assert (forget == 2).all() and not (cell.any() or read.any() or write.any())
    gamma = {"none": 1.0, "layer": 1.0, "batch": 0.1}
    for name in ("layer_01", "recurrent_02", "cell_02"):
        assert torch.equal(lstm.params[f"{name}.gamma"][:, 0], torch.tensor([gamma[name] for name in names]))
    irnn = build_model(configs_of(Rnn(width=N, recurrent_start="identity"), levels))
    assert torch.equal(irnn.params["recurrent_01.weight"][1], torch.eye(N))
    wide = TrialConfig(model=Rnn(width=400), initialization=Initialization.of("xavier"))
    weights = build_model([wide]).params
    assert float(weights["layer_01.weight"].detach().std()) == pytest.approx(math.sqrt(2 / 408), rel=0.05)
    assert float(weights["recurrent_01.weight"].detach().std()) == pytest.approx(math.sqrt(2 / 800), rel=0.02)


@pytest.mark.parametrize("model", MODELS, ids=NAMED)
def test_parameters_are_counted_that_get_a_gradient(model: Rnn | Lstm) -> None:
    configs = [
        *configs_of(model),
        *configs_of(model, [("prelu", "none"), ({"name": "prelu", "per": "layer"}, "batch")]),
    ]
    for config in configs:
        pack = awake([config])
        logits = pack.forward(pack.params, images(1), Pass.measuring())
        gradients = torch.autograd.grad(logits.square().sum(), list(pack.params.values()), allow_unused=True)
        shared = config.activation.parameters.get("per") == "layer"
        used = [(name, g) for name, g in zip(pack.params, gradients, strict=True) if g is not None and g.any()]
        moved = sum(1 if shared and name.endswith(".slope") else g[0].numel() for name, g in used)
        assert parameter_count(config, pack.params) == moved, config.run_name()


def test_dropout_and_noise_are_drawn_anew_each_step_and_alike_for_a_seed() -> None:
    """Dropout is of what a layer hands on: its own next state is untouched. Randomized slopes differ by time step."""
    training = Training(dropout=0.5)
    config = TrialConfig(model=Rnn(width=64, depth=2), activation=Activation.of("tanh"), training=training)
    pack, traces = build_model([config]), [Trace(), Trace(), Trace()]
    batch = images(1).float()
    draws = [None, StepDraws([0], 5), StepDraws([0], 5)]
    logits = [
        pack.forward(pack.params, batch, Pass.step(trace=trace, draws=draw))
        for trace, draw in zip(traces, draws, strict=True)
    ]
    assert torch.equal(traces[0].activations[0], traces[1].activations[0])
    assert not torch.allclose(traces[0].activations[1], traces[1].activations[1])
    assert torch.equal(logits[1], logits[2]) and not torch.allclose(logits[0], logits[1])
    noisy = build_model([TrialConfig(model=Rnn(width=64), activation=Activation.of("rrelu"))])
    with torch.no_grad():
        noisy.params["recurrent_01.weight"].zero_()
    still = images(1)[:, :, :, :1].expand(-1, -1, -1, T, -1).float()
    states = []
    for draw in (StepDraws([0], 5), None):
        trace = Trace()
        noisy.forward(noisy.params, still, Pass.measuring(trace=trace, draws=draw))
        states.append(trace.activations[0].detach().view(T, B, 64))
    assert not torch.allclose(states[0][0], states[0][1])
    assert torch.equal(states[1][0], states[1][1])


def test_srelu_thaws_by_the_inputs_of_all_time_steps() -> None:
    level = Activation.of({"name": "srelu", "frozen_epochs": 1})
    config = TrialConfig(
        task=Task(train_examples=64),
        model=Rnn(width=4),
        activation=level,
        training=Training(batch_size=32, epochs=2, learning_rate=0.01),
        probes=Probes(schedule=Schedule(points=2)),
    )
    pack = build_model([config])
    before = {name: tensor.detach().clone() for name, tensor in pack.params.items()}
    batch = images(1).float()
    for step in (0, 1):
        pack.forward(pack.params, batch, Pass.step(draws=StepDraws([0], step)))
    assert all(torch.equal(pack.params[name], tensor) for name, tensor in before.items())
    trace = Trace()
    pack.forward(pack.params, batch, Pass.measuring(trace=trace))
    pack.forward(pack.params, batch, Pass.step(draws=StepDraws([0], 2)))
    z = trace.preactivations[0].detach()[0]
    expected = z.kthvalue(round(level.number("quantile") * T * B), dim=0).values
    assert torch.equal(pack.params["layer_01.right_threshold"][0].detach(), expected)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"normalization": Normalization.of("group")}, "no recurrent form"),
        ({"normalization": Normalization.of({"name": "layer", "position": "post"})}, "before its activation"),
        ({"normalization": Normalization.of({"name": "batch", "frozen_after": 0.5})}, "does not freeze"),
        ({"normalization": Normalization.of("batch"), "training": Training(batch_size=1)}, "m = 1"),
        ({"initialization": Initialization.of("lsuv")}, "one weight matrix"),
        ({"initialization": Initialization.of("delta_orthogonal")}, "kernels"),
        ({"task": Task(dataset="xor")}, "one row"),
        ({"activation": Activation.of("crelu")}, "number of channels"),
        ({"initialization": Initialization.of("fixup")}, "residual branches"),
    ],
)
def test_what_has_no_recurrent_form_is_an_invalid_design(fields: dict[str, object], reason: str) -> None:
    invalid = TrialConfig(model=Lstm(), **fields).invalid_design()
    assert invalid is not None and reason in invalid
    assert TrialConfig(model=Lstm()).invalid_design() is None


@pytest.mark.parametrize("model", [Rnn(width=8), Lstm(width=8)], ids=["rnn", "lstm"])
def test_broken_lanes_keep_to_themselves(model: Rnn | Lstm) -> None:
    configs = configs_of(model)
    results = []
    for poison in (False, True):
        pack = build_model(configs)
        if poison:
            with torch.no_grad():
                pack.params["layer_01.weight"][1].fill_(math.nan)
        logits = pack.forward(pack.params, images(8).float(), Pass.step())
        gradients = torch.autograd.grad(logits.sum(), list(pack.params.values()), materialize_grads=True)
        results.append([logits.detach(), *gradients, *pack.statistics.values()])
    assert not torch.isfinite(results[1][0][1]).any()
    for clean, poisoned in zip(*results, strict=True):
        for lane in (0, 2, 3, 4, 5, 6, 7):
            assert torch.equal(clean[lane], poisoned[lane])
