"""Extending a study by seeds and cells. Its existing cells, trials and results are not changed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from actinium.datasets.names import Find, nothing_stored
from actinium.errors import Conflict
from actinium.extension import Extension, extended
from actinium.job import StudyId, StudyState
from actinium.study import Design, DesignCell, StudySpec, expand
from db import grid, limits, reuse
from db.documents import check, dumps
from db.limits import UNLIMITED, Quota
from db.models import studies as study_rows
from db.models import study_extensions
from db.progress import touch
from db.rows import StudyRow
from db.statements import statement
from db.studies import get
from db.trials import cells


@dataclass(frozen=True, kw_only=True)
class Extended:
    """How many cells and trials an extension brought."""

    cells: int
    trials: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An extension worked out before its transaction, which so is a short one: the design of the extended study, and
    the cells that are new in it. It holds for the study as it was read, with this `spec` and `cells`.
    """

    spec: StudySpec
    cells: int
    design: Design
    fresh: tuple[DesignCell, ...]


def prepare(
    spec: StudySpec,
    old: Sequence[DesignCell],
    extension: Extension,
    *,
    max_trials: int,
    find: Find = nothing_stored,
) -> Prepared:
    """Resolve an extension of a study that has this document and these cells. InvalidInput: `extended` and `expand` say
    of what.
    """
    design = expand(extended(spec, extension), max_trials=max_trials, find=find)
    known = {cell.config.digest() for cell in old}
    missing = [cell for cell in design.cells if cell.config.digest() not in known]
    fresh = (
        DesignCell(index=number, cell=cell.cell, config=cell.config)
        for number, cell in enumerate(missing, start=len(old))
    )
    return Prepared(spec=spec, cells=len(old), design=design, fresh=tuple(fresh))


def extend(
    conn: Connection,
    study_id: StudyId,
    extension: Extension,
    *,
    owner: str,
    now: datetime,
    max_trials: int,
    find: Find = nothing_stored,
    idempotency_key: str | None = None,
    quota: Quota = UNLIMITED,
    prepared: Prepared | None = None,
) -> Extended:
    """Queue the trials that these seeds and levels add to a study; a finished study is open again.

    New cells are numbered after the old, and new trials stand behind the old ones. The same owner, key and document
    give the answer that was given then. InvalidInput: `extended` and `expand` say of what. Conflict: the study is
    cancelled, or the key was used for another document. TooMany and Forbidden, as of a submission, counts for the
    study's owner. `prepared` is what `prepare` gave for this extension; where the study has changed since, it is worked
    out again.
    """
    check({"owner": owner, "idempotency_key": idempotency_key})
    conn.execute(statement("study_lock"), {"study_id": study_id})
    study = get(conn, study_id)
    document = dumps(extension.model_dump(mode="json"))
    digest = hashlib.sha256(document.encode()).hexdigest()
    if (before := _made_before(conn, study_id, owner=owner, key=idempotency_key, digest=digest)) is not None:
        return before
    if study.state is StudyState.CANCELLED:
        raise Conflict(f"study {study_id} is cancelled: `retry` opens it again, then it can be extended")
    if prepared is None or (prepared.spec, prepared.cells) != (study.spec, study.cells):
        prepared = prepare(study.spec, cells(conn, study_id), extension, max_trials=max_trials, find=find)
    limits.take_turn(conn, owner=study.owner, quota=quota)
    added = _write(conn, study, prepared, owner=owner, now=now)
    if added.trials:
        limits.check_trials(conn, owner=study.owner, quota=quota)
    conn.execute(
        insert(study_extensions).values(
            study_id=study_id,
            owner=owner,
            extension=json.loads(document),
            idempotency_key=idempotency_key,
            body_digest=digest,
            cells=added.cells,
            trials=added.trials,
            created_at=now,
        )
    )
    return added


def _write(conn: Connection, study: StudyRow, prepared: Prepared, *, owner: str, now: datetime) -> Extended:
    """Cells and trials that are new, their jobs, and the study's row."""
    design, new = prepared.design, prepared.fresh
    had = set(study.spec.seed_list())
    old = () if had >= set(design.spec.seed_list()) else cells(conn, study.id)

    def missing() -> Iterator[tuple[DesignCell, int]]:
        for seed in design.spec.seed_list():
            for cell in new if seed in had else (*old, *new):
                yield cell, seed

    grid.write_cells(conn, study.id, new)
    trials = grid.write_trials(conn, study.id, missing(), first_place=study.trials)
    opened = {"finished_at": None, "final_counts": None} if trials else {}
    invalid = [{"cell": item.cell, "reason": item.reason} for item in design.invalid]
    conn.execute(
        update(study_rows)
        .where(study_rows.c.id == study.id)
        .values(
            spec=json.loads(dumps(design.spec.model_dump(mode="json"))),
            invalid_designs=invalid,
            cells=study.cells + len(new),
            trials=study.trials + trials,
            **opened,
        )
    )
    reuse.write_jobs(conn, study.id, first_place=study.trials, reuse=study.spec.reuse, who=owner, now=now)
    touch(conn, [study.id], now=now)
    return Extended(cells=len(new), trials=trials)


def _made_before(conn: Connection, study_id: StudyId, *, owner: str, key: str | None, digest: str) -> Extended | None:
    """What an earlier request with this key was answered; Conflict when its document was another."""
    if key is None:
        return None
    same_key = select(study_extensions).where(
        study_extensions.c.study_id == study_id,
        study_extensions.c.owner == owner,
        study_extensions.c.idempotency_key == key,
    )
    before = conn.execute(same_key).one_or_none()
    if before is None:
        return None
    if before.body_digest != digest:
        raise Conflict(
            f"the Idempotency-Key {key[:120]!r} was used for another extension of study {study_id}; use a new key",
            ids=[study_id],
        )
    return Extended(cells=before.cells, trials=before.trials)
