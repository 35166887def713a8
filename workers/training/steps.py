"""Training steps of a pack: batches in, updates of every lane out. Legend: L lanes, B examples."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from workers.checkpoints.state import put_tensors
from workers.draws import StepDraws
from workers.layers import LaneModel, Parameters, Pass
from workers.training.augmentation import augmented
from workers.training.batches import PackData, epoch_order
from workers.training.captured import CapturedStep, NoDraws, check_capturable
from workers.training.frozen import FrozenFeatures
from workers.training.optimizers import OPTIMIZERS, Clipping, Optimizer
from workers.training.precision import ARITHMETIC, precision_on


class Steps:
    """The optimizer's way through the training part; `model` and `data` belong to the caller, who drops their lanes."""

    def __init__(self, model: LaneModel, data: PackData, *, captured: bool = False) -> None:
        """`captured`: steps are replayed as one CUDA graph each (`workers.training.captured`)."""
        self._model, self._data = model, data
        self._config = model.configs[0]
        trainings = [config.training for config in model.configs]
        self._optimizer = OPTIMIZERS[self._config.training.optimizer](model.params, trainings)
        self._clipping = Clipping(trainings, data.scale)
        self._frozen = FrozenFeatures(model.configs, model.params)
        self._loss_sum = data.scale.new_zeros(len(model.configs))
        self._order: Tensor | None = None
        self._arithmetic = ARITHMETIC[precision_on(data.scale.device, self._config.training.precision)]
        self._captured: CapturedStep | None = None
        if captured:
            check_capturable(model.configs)
            self._captured = CapturedStep(lambda batch: self._step(batch, self._draws(NoDraws)))
        self._since_mean = 0
        self.taken = 0
        """Steps since the start."""

    def train_to(self, step: int, *, interrupted: Callable[[], bool] | None = None) -> bool:
        """Steps up to `step`, without once waiting for the device; False when `interrupted` said so before a step."""
        while self.taken < step:
            if interrupted is not None and interrupted():
                return False
            batch = self._batch()
            if self._captured is None:
                self._step(batch, self._draws())
            else:
                self._captured(batch)
            self.taken += 1
            self._since_mean += 1
        return True

    def _step(self, batch: Tensor, draws: StepDraws) -> None:
        """One step on the examples of `batch`."""
        inputs, targets = self._examples(batch, draws)
        params = self._model.params
        with self._arithmetic():
            outputs = self._model.forward(params, inputs, Pass.step(draws=draws))
            losses = self._data.functions().loss(outputs, targets)
            gradients = torch.autograd.grad(losses.sum(), list(params.values()), materialize_grads=True)
        self._move(self._optimizer, params, dict(zip(params, gradients, strict=True)))
        self._loss_sum += losses.detach()

    @torch.no_grad()
    def stepped(self, params: Parameters, gradients: Mapping[str, Tensor]) -> Parameters:
        """The parameters as a step with these gradients would leave them; nothing of the training is moved."""
        params = {name: tensor.detach().clone() for name, tensor in params.items()}
        given = {name: gradient.clone() for name, gradient in gradients.items()}
        self._move(copy.deepcopy(self._optimizer), params, given)
        return params

    def _move(self, optimizer: Optimizer, params: Parameters, gradients: Mapping[str, Tensor]) -> None:
        """One step of `optimizer`, clipped; what is frozen stays."""
        optimizer.step(params, self._clipping(self._frozen.without(gradients)))
        self._frozen.put_back(params)

    @torch.no_grad()
    def mean_loss(self) -> Tensor:
        """Mean training loss [L] of the steps since the last `start_mean`; before any, of the batch to come."""
        if self._since_mean:
            return self._loss_sum / self._since_mean
        draws = self._draws()
        inputs, targets = self._examples(self._batch(), draws)
        params = self._model.params
        with self._arithmetic():
            outputs = self._model.forward(params, inputs, Pass.measuring(draws=draws))
        return self._data.functions().loss(outputs, targets)

    def start_mean(self) -> None:
        """Forget the losses until now."""
        self._loss_sum.zero_()
        self._since_mean = 0

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these, after the model and the data have."""
        kept = torch.as_tensor(lanes, device=self._loss_sum.device)
        self._optimizer.keep(lanes)
        self._clipping.keep(lanes)
        self._frozen.keep(lanes)
        self._loss_sum = self._loss_sum[kept]
        self._order = None if self._order is None else self._order[kept]
        if self._captured is not None:
            self._captured.forget()

    def state(self) -> dict[str, Tensor]:
        """What belongs to no network: its own tensors, all lanes leading."""
        return {"loss_sum": self._loss_sum, **self._optimizer.state()}

    def restore(self, saved: Mapping[str, Tensor], *, taken: int, since_mean: int) -> None:
        """Go on after `taken` steps, `since_mean` of them since the last `start_mean`; the networks are there already.

        Raises CheckpointUnusable where something is missing.
        """
        put_tensors(saved, self.state())
        self._optimizer.restore(steps=taken)
        self.taken, self._since_mean = taken, since_mean

    def _batch(self) -> Tensor:
        """The examples of the next step: [L, B] positions in the dataset."""
        size = self._config.training.batch_size
        epoch, batch = divmod(self.taken, self._data.train.shape[1] // size)
        if batch == 0 or self._order is None:
            self._order = epoch_order(self._data, self._model.configs, epoch)
        return self._order[:, batch * size : (batch + 1) * size]

    def _examples(self, batch: Tensor, draws: StepDraws) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, as the lanes train on them; target images move with their inputs."""
        inputs, targets = self._data.take(batch)
        augmentation = self._config.task.augmentation
        if augmentation is not None:
            inputs = augmented(inputs, augmentation, draws, lane_axis=self._model.lane_axis)
            if self._data.objective == "reconstruction":
                images = targets.view(*targets.shape[:2], *self._config.task.definition().shape)
                targets = augmented(images, augmentation, draws, lane_axis=0).flatten(2)
        return inputs, targets

    def _draws(self, kind: type[StepDraws] = StepDraws) -> StepDraws:
        """What the next step may draw."""
        seeds = [config.seed for config in self._model.configs]
        return kind(seeds, self.taken, device=self._data.scale.device)
