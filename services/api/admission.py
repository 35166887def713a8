"""Whether a study's trials fit the machines: what none of them can hold is refused before anybody waits for it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from actinium.errors import FieldError, InvalidInput
from actinium.paths import Cell, cell_label
from actinium.trial import TrialConfig
from db import dispatchers
from workers.memory import in_words, memory_need


def largest_memory(connection: Connection, *, now: datetime, silent_seconds: float) -> int | None:
    """Bytes of the largest machine or accelerator of the dispatchers that are alive; None where nothing is known."""
    known = [one.memory_bytes for one in dispatchers.living(connection, now=now, silent_seconds=silent_seconds)]
    return max((memory for memory in known if memory is not None), default=None)


def check_memory(cells: Sequence[tuple[Cell, TrialConfig]], most: int | None) -> None:
    """InvalidInput with the arithmetic of each cell of which a trial alone needs more than `most` bytes."""
    if most is None:
        return
    needs: dict[tuple[int, ...], str | None] = {}
    faults = []
    for cell, config in cells:
        # What it needs is a matter of these parts, which the configs of one study share as objects.
        parts = (id(config.task), id(config.model), id(config.activation), config.training.batch_size)
        if parts not in needs:
            need = memory_need(config)
            needs[parts] = str(need) if need.total > most else None
        if needs[parts] is not None:
            faults.append(FieldError("model", f"{cell_label(cell) or 'the trial'} needs {needs[parts]}"))
    if faults:
        raise InvalidInput(f"no worker has the memory: the largest has {in_words(most)}", faults)
