"""The preflight as a table."""

from typing import Any

import pytest

from actinium.terminal.preflight import show_preflight

ROW: dict[str, Any] = {
    "cell": {"activation": "tanh"},
    "forward_factor": None,
    "backward_factor": 0.51,
    "born_dead_rate": 0.0,
    "memory_bytes": 2**20,
    "warnings": [],
}


@pytest.mark.parametrize("factor", [None, 0.731])
def test_gradients_through_time_are_told_of_recurrent_networks(
    factor: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    show_preflight({"preflight": [{**ROW, "time_factor": factor}], "cells": 1})
    said = capsys.readouterr().out
    assert "0.51" in said and ("a time step" in said) == (factor is not None)
    assert ("0.731" in said) == (factor is not None)
