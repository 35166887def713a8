"""What an exception in a pack is taken for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actinium.datasets.official import OFFICIAL
from actinium.errors import DatasetMissing
from actinium.trial import Task, TrialConfig
from workers.datasets import files
from workers.datasets.files import read_official
from workers.failures import describe

MNIST = TrialConfig(task=Task(dataset="mnist"))


def raised(body: Callable[[], object]) -> Exception:
    """The exception that `body` raises, with its traceback."""
    try:
        body()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("body", "memory"),
    [
        (lambda: torch.empty(2**50), True),  # PyTorch's own allocator raises a plain RuntimeError
        (lambda: torch.empty(2).view(3), False),
        (lambda: bytearray(2**60), True),
        (lambda: int("one"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_faults(body: Callable[[], object], memory: bool) -> None:
    failed = describe(raised(body), [MNIST], device="cpu")
    assert failed.out_of_memory is memory and not failed.final and not failed.device_lost
    assert "Traceback" in failed.error and "body()" in failed.error


def test_a_dataset_that_all_lanes_lack_is_final_and_one_lanes_own_is_not() -> None:
    missing = DatasetMissing("run `actinium data fetch mnist`", dataset="mnist")
    pack = [MNIST, MNIST.model_copy(update={"seed": 1})]
    assert describe(missing, pack, device="cpu").final
    assert describe(missing, pack, device="cpu").error == "run `actinium data fetch mnist`"
    other = DatasetMissing("to transfer from", dataset="cifar10")
    assert not describe(other, pack, device="cpu").final
    assert describe(other, pack[:1], device="cpu").final


@pytest.mark.parametrize("lost", [True, False])
def test_a_device_that_does_not_answer_any_more_is_lost(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def synchronize() -> None:
        if lost:
            raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    assert describe(ValueError("kernel"), [MNIST], device="cuda").device_lost is lost


def test_files_that_may_not_be_read_are_said_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFICIAL["mnist"].names:
        (tmp_path / "mnist").mkdir(exist_ok=True)
        (tmp_path / "mnist" / name).touch()

    def refused(*given: object) -> object:
        raise PermissionError(13, "Permission denied", str(tmp_path / "mnist"))

    monkeypatch.setattr(files, "read_idx", refused)
    with pytest.raises(DatasetMissing, match=r"cannot be read in .*Permission denied.*ACTINIUM_DATA.*data fetch mnist"):
        read_official("mnist", tmp_path)
