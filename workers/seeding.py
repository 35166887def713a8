"""Random numbers of a lane: one generator for every (seed, stream), always on the CPU.

A stream is a word such as `split`, `order/epoch_0003` or `weights/layer_01`. Two trials of one seed draw the same
numbers from the same stream, whatever their levels, their company or their device (common random numbers), and no
stream shifts another.
"""

import hashlib

import torch


def stream_seed(seed: int, stream: str) -> int:
    """The first 63 bits of SHA-256 over `seed/stream`: what a stream's generator is seeded with."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str) -> torch.Generator:
    """A fresh CPU generator at the start of the stream."""
    source = torch.Generator(device="cpu")
    source.manual_seed(stream_seed(seed, stream))
    return source


def weights_stream(layer: int) -> str:
    """The stream of a weight layer's base draws; layers count from 1, the classifier comes last."""
    return f"weights/layer_{layer:02d}"


def asymmetry_stream(layer: int) -> str:
    """The stream of what a randomized asymmetric start draws beside the weights; layers count from 1."""
    return f"asymmetry/layer_{layer:02d}"


def learned_stream(layer: str, parameter: str) -> str:
    """The stream of an activation's learned parameter that starts at random; `layer` as in the parameters' names."""
    return f"activation/{layer}/{parameter}"


def pretraining_order_stream(epoch: int) -> str:
    """The stream of an epoch's order where layers are pretrained; epochs count from 0."""
    return f"pretraining/order/epoch_{epoch:04d}"


def order_stream(epoch: int) -> str:
    """The stream of an epoch's order of training examples; epochs count from 0."""
    return f"order/epoch_{epoch:04d}"
