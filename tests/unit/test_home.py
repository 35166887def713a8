"""Where commands find the stack: `$ACTINIUM_HOME`, then a checkout's own `.actinium`, then the user's data folder."""

import os
from pathlib import Path

import pytest

from actinium import home


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stack of its own, in a subfolder of which somebody works."""
    monkeypatch.delenv("ACTINIUM_HOME", raising=False)
    (tmp_path / ".actinium").mkdir()
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir(tmp_path / "studies")
    return tmp_path


def test_a_plain_shell_in_a_checkout_finds_the_stack_that_make_started(checkout: Path) -> None:
    assert home.default_home() == checkout / ".actinium"


def test_what_is_said_goes_before_what_is_found(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTINIUM_HOME", str(checkout / "elsewhere"))
    assert home.default_home() == checkout / "elsewhere"


def test_a_stack_of_somebody_else_is_not_taken_for_ones_own(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: (checkout / ".actinium").stat().st_uid + 1)
    assert checkout not in home.default_home().parents


def test_elsewhere_it_is_the_platforms_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTINIUM_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(home.platformdirs, "user_data_path", lambda *_, **__: tmp_path / "data")
    assert home.default_home() == tmp_path / "data"
