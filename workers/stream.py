"""What comes out of a pack in training, item by item, to whoever had it trained."""

from dataclasses import dataclass
from typing import TypeAlias

from actinium.frame import Layout, PackEvent


@dataclass(frozen=True, kw_only=True)
class PackFailed:
    """The pack's code raised: the last item of its stream.

    `out_of_memory`: a narrower pack may do. `final`: none of the pack's trials can be trained until somebody mends what
    `error` says. `device_lost`: this process computes nothing any more.
    """

    error: str
    out_of_memory: bool = False
    final: bool = False
    device_lost: bool = False


StreamItem: TypeAlias = Layout | PackEvent | PackFailed
"""The layout of its frames first, then the pack's events."""
