"""The arithmetic of training steps: `training.precision`. Measurements never use it: they are float32.

float32: products as IEEE says, without TF32. tf32: on a CUDA device, matrix products and convolutions may round their
float32 factors to 10 bits of mantissa (NVIDIA 2020); elsewhere it is float32. bf16: matrix products and convolutions,
forward and backward, of factors rounded to bfloat16, as torch.autocast has them; their results go on as float32, so
that weights, normalization statistics, activations, losses and updates stay float32 (Micikevicius et al. 2018).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PRODUCTS = frozenset({torch.bmm, torch.baddbmm, functional.conv2d})
"""What the layers multiply with."""


class _BfloatProducts(TorchFunctionMode):
    """Products of factors rounded to bfloat16, with results in float32."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func not in PRODUCTS:
            return func(*args, **given)
        rounded = (arg.bfloat16() if isinstance(arg, Tensor) else arg for arg in args)
        return func(*rounded, **given).float()


@contextmanager
def _tf32() -> Iterator[None]:
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = True
    try:
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


ARITHMETIC: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "float32": nullcontext,
    "tf32": _tf32,
    "bf16": _BfloatProducts,
}
"""The context of a step's forward and backward pass, by what runs (`precision_on`)."""


def precision_on(device: str | torch.device, precision: str) -> str:
    """What a level of `training.precision` comes to on a device."""
    return "float32" if precision == "tf32" and torch.device(device).type != "cuda" else precision
