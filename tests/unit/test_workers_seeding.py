"""Streams of random numbers: stable, separate, shared by a seed's cells."""

import torch

from workers.seeding import generator, order_stream, stream_seed, weights_stream


def test_a_stream_is_the_same_wherever_it_is_opened() -> None:
    first = torch.randn(50, generator=generator(3, weights_stream(1)))
    torch.manual_seed(99)
    assert torch.equal(first, torch.randn(50, generator=generator(3, weights_stream(1))))


def test_the_key_is_fixed_for_good() -> None:
    """SHA-256 of `seed/stream`: a change here would change every number of every study."""
    assert stream_seed(0, "split") == 3769940940748469125
    assert stream_seed(7, order_stream(0)) == stream_seed(7, "order/epoch_0000")


def test_streams_and_seeds_are_all_different() -> None:
    streams = [weights_stream(layer) for layer in range(1, 101)] + [order_stream(epoch) for epoch in range(100)]
    keys = {stream_seed(seed, stream) for seed in range(50) for stream in [*streams, "split"]}
    assert len(keys) == 50 * 201
    assert all(0 <= key < 2**63 for key in keys)
