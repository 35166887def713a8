"""The cells and trials of a study, written by COPY."""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from actinium.job import StudyId
from actinium.study import DesignCell
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
    conn: Connection, study_id: StudyId, trials: Iterable[tuple[DesignCell, int]], *, first_place: int = 0
) -> int:
    """Trials, each a cell and a seed; how many. Their order is their place, from `first_place` on, and so the order in
    which they are leased.
    """
    place = first_place
    digests: dict[int, Callable[[int], str]] = {}
    into = "COPY trials (study_id, place, cell_index, seed, digest) FROM STDIN"
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(into) as copy:
        for cell, seed in trials:
            if cell.index not in digests:
                digests[cell.index] = cell.config.digest_by_seed()
            copy.write(f"{study_id}\t{place}\t{cell.index}\t{seed}\t{digests[cell.index](seed)}\n")
            place += 1
    return place - first_place
