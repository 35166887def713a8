"""Tests draw the same numbers in every run and in every order, and none draws around its seed."""

import os
import random
import subprocess
import sys
import zlib
from pathlib import Path
from textwrap import dedent

import hypothesis
import numpy as np
import pytest
import torch
from unseeded import unseeded

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


def test_no_file_draws_around_its_seed() -> None:
    files = [path for folder in (TESTS, ROOT / "benchmarks") for path in folder.rglob("*.py")]
    assert len(files) > 150
    found = [
        f"{path.relative_to(ROOT)}:{one.line}: {one.why}" for path in files for one in unseeded(path.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "draw",
    [
        "np.random.default_rng()",
        "np.random.default_rng(None)",
        "np.random.default_rng(seed=None)",
        "default_rng().normal(size=3)",
        "np.random.RandomState()",
        "np.random.Generator(np.random.PCG64())",
        "np.random.seed()",
        "random.Random()",
        "random.seed()",
        "random.SystemRandom().random()",
        "torch.Generator()",
        "torch.Generator(device='cpu')",
        "torch.rand(3, generator=torch.Generator())",
        "torch.seed()",
        "torch.Generator().seed()",
        "generator.seed()",
        "uuid.uuid4()",
        "uuid4().hex",
        "secrets.token_hex(8)",
        "os.urandom(4)",
        "hypothesis.settings(derandomize=False)",
    ],
)
def test_a_draw_around_the_seed_is_found(draw: str) -> None:
    """Inside a function, in a decorator, and at the top of the file."""
    names = (
        "import hypothesis, os, random, secrets, uuid\nimport numpy as np\nimport torch\n"
        "from numpy.random import default_rng\nfrom uuid import uuid4\n"
    )
    for place in (f"def f():\n    return {draw}", f"@decorated({draw})\ndef f():\n    pass", f"x = {draw}"):
        assert unseeded(names + place), place


@pytest.mark.parametrize(
    "draw",
    [
        "np.random.default_rng(3)",
        "np.random.default_rng(seed=seed)",
        "random.Random(len(rows))",
        "torch.Generator().manual_seed(3)",
        "torch.Generator(device='cpu').manual_seed(seed)",
        "torch.randn(3, generator=torch.Generator().manual_seed(0))",
        "random.seed(3)",
    ],
)
def test_a_seeded_draw_is_not_refused(draw: str) -> None:
    assert unseeded(f"import random\nimport numpy as np\nimport torch\nx = {draw}") == []


@pytest.mark.parametrize("draw", ["torch.randn(3)", "np.random.normal(size=3)", "random.choice('ab')"])
def test_the_shared_generators_are_for_tests_and_not_for_imports(draw: str) -> None:
    """Each test has them seeded; what runs at import would depend on what was imported before."""
    names = "import random\nimport numpy as np\nimport torch\n"
    assert unseeded(f"{names}def test():\n    return {draw}") == []
    for place in (f"x = {draw}", f"def f(x={draw}):\n    pass", f"class A:\n    x = {draw}"):
        (found,) = unseeded(names + place)
        assert "at import" in found.why


DRAWING = """
import random
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

def draw():
    return random.random(), np.random.random(), torch.rand(()).item()

def say(who, numbers):
    with open({path!r}, "a") as file:
        print(who, *numbers, file=file)

@pytest.fixture(scope="module")
def shared():
    return draw()

@pytest.mark.parametrize("number", range(4))
def test_alone(number):
    say(f"alone {{number}}", draw())

@pytest.mark.parametrize("number", range(4))
def test_with_what_is_shared(number, request):
    first, shared, second = draw(), request.getfixturevalue("shared"), draw()
    say(f"shared {{number}}", (*first, *shared, *second))

@settings(database=None)
@given(st.integers())
def test_examples(number):
    say("example", [number])
"""


@pytest.mark.slow
def test_draws_depend_neither_on_the_order_nor_on_the_process(tmp_path: Path) -> None:
    """Three runs, in three orders: every test drew what it drew before; different tests drew different numbers."""
    file, said = tmp_path / "test_drawing.py", tmp_path / "said"
    file.write_text(dedent(DRAWING).format(path=str(said)))
    heard = []
    for seed in ("1", "2", "3"):
        options = ["-p", "repeatable", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "--order-seed", seed]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, str(file)],
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert f"--order-seed {seed}, with PYTHONHASHSEED={seed}" in done.stdout
        heard.append(said.read_text().splitlines())
        said.unlink()
    first, *others = heard
    assert len(set(first)) > 10
    assert all(sorted(other) == sorted(first) for other in others)
    assert any(other != first for other in others), "the orders differ"


def test_the_shared_generators_are_seeded_by_the_name_of_the_test(request: pytest.FixtureRequest) -> None:
    seed = zlib.crc32(request.node.nodeid.encode())
    assert random.random() == random.Random(seed).random()
    assert np.random.random() == np.random.RandomState(seed).random()
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(seed)))


def test_hypothesis_draws_the_same_examples_unless_it_is_told_a_seed(pytestconfig: pytest.Config) -> None:
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.derandomize or pytestconfig.getoption("--hypothesis-seed") is not None
