"""The cells and trials of a study, written by COPY."""

from collections.abc import Iterable

from sqlalchemy import Connection

from actinium.job import StudyId
from actinium.study import DesignCell
from actinium.trial import TrialConfig
from db.binary_copy import psycopg_connection
from db.documents import dumps


def write_cells(conn: Connection, study_id: StudyId, cells: Iterable[DesignCell]) -> None:
    """Cells, under the indices they carry."""
    into = "COPY cells (study_id, index, levels, config, pack_key) FROM STDIN"
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(into) as copy:
        for cell in cells:
            config = dumps(cell.config.model_dump(mode="json"))
            copy.write_row((study_id, cell.index, dumps(cell.cell), config, cell.config.pack_key()))


def write_trials(
    conn: Connection, study_id: StudyId, trials: Iterable[tuple[DesignCell, TrialConfig]], *, first_place: int = 0
) -> int:
    """Trials; how many. Their order is their place, from `first_place` on, and so the order they are leased in."""
    place = first_place
    into = "COPY trials (study_id, place, cell_index, seed, digest) FROM STDIN"
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(into) as copy:
        for cell, trial in trials:
            copy.write_row((study_id, place, cell.index, trial.seed, trial.digest()))
            place += 1
    return place - first_place
