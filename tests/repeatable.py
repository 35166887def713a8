"""What makes a run of the tests repeatable: every generator is seeded anew for each test, Hypothesis draws the same
examples each time, and an order of the tests can be drawn from a seed (`--order-seed`) and thus drawn again.
"""

import os
import random
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("the same examples each time", derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", print_blob=True)  # with --hypothesis-seed=N: others, drawn from N
hypothesis.settings.load_profile("the same examples each time")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that draws an order."""
    parser.addoption("--order-seed", type=int, help="run the files, and the tests of each, in an order drawn from this")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says how to run in this order again."""
    seed = config.getoption("--order-seed")
    hashes = os.environ.get("PYTHONHASHSEED", "random")
    return None if seed is None else f"in the order of --order-seed {seed}, with PYTHONHASHSEED={hashes}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffles the files and the tests of each; a file's tests stay together, for what its fixtures share."""
    seed = config.getoption("--order-seed")
    if seed is not None:
        draws = random.Random(seed)
        files = sorted({item.path for item in items})
        draws.shuffle(files)
        draws.shuffle(items)
        items.sort(key=lambda item: files.index(item.path))


def seed_all(name: str) -> None:
    """Seeds the generators that draw for whoever names none: Python's, NumPy's legacy one and, where it is in use,
    PyTorch's on every device.
    """
    number = zlib.crc32(name.encode())  # not hash(), which differs between processes
    random.seed(number)
    np.random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


@contextmanager
def draws_of_its_own(name: str) -> Iterator[None]:
    """Seeds everything for the block, and leaves every generator where it was found."""
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state(), None if torch is None else torch.get_rng_state()
    seed_all(name)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch is not None:
            torch.set_rng_state(states[2])


@pytest.fixture(autouse=True)
def seeded_anew(request: pytest.FixtureRequest) -> None:
    """Each test draws the same numbers, whichever tests ran before it."""
    seed_all(request.node.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Any:
    """What tests share draws the same numbers too, whichever test is the first to use it."""
    if fixturedef.scope == "function":
        return (yield)
    with draws_of_its_own(f"{fixturedef.baseid}::{fixturedef.argname}[{getattr(request, 'param_index', 0)}]"):
        return (yield)
