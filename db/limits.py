"""Limits on what one owner has: queued trials, studies and trials in all, bytes of datasets."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from actinium.errors import Forbidden, TooMany
from db.models import dataset_contents, datasets
from db.statements import statement

OWNED = "; delete some, or ask an admin for more"


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most of an owner; None: any number."""

    queued_trials: int | None = None
    studies: int | None = None
    trials: int | None = None
    dataset_bytes: int | None = None


UNLIMITED = Quota()


def take_turn(conn: Connection, *, owner: str, quota: Quota) -> None:
    """Call it before anything is written: where there is a limit, requests of one owner wait for each other, so that
    two cannot pass it together.
    """
    if quota != UNLIMITED:
        conn.execute(statement("owner_lock"), {"owner": owner})


def check_trials(conn: Connection, *, owner: str, quota: Quota) -> None:
    """Call it after studies and trials were written, and roll back where it raises: TooMany where the owner now has too
    many queued, which time mends; Forbidden where they have too many at all.
    """
    if quota.studies is not None or quota.trials is not None:
        has = conn.execute(statement("owned"), {"owner": owner}).one()
        for what, number, most in (("studies", has.studies, quota.studies), ("trials", has.trials, quota.trials)):
            if most is not None and number > most:
                raise Forbidden(
                    f"{owner[:120]} would have {number} {what}, more than the {most} of one owner"
                    f" (ACTINIUM_OWNER_{what.upper()}){OWNED}"
                )
    if quota.queued_trials is None:
        return
    most = quota.queued_trials
    queued = conn.execute(statement("owner_queued"), {"owner": owner, "most": most + 1}).scalar_one()
    if queued > most:
        raise TooMany(
            f"{owner[:120]} would have more than {most} trials queued, which is the limit of one owner"
            " (ACTINIUM_OWNER_QUEUED_TRIALS); wait until some have ended, cancel a study, or ask for fewer"
        )


def check_datasets(conn: Connection, *, owner: str, quota: Quota) -> None:
    """Call it after a dataset was written, and roll back where it raises: Forbidden where the owner has too much."""
    if quota.dataset_bytes is None:
        return
    own = select(datasets.c.sha256).where(datasets.c.owner == owner).distinct()
    held = select(func.coalesce(func.sum(dataset_contents.c.file_bytes), 0)).where(dataset_contents.c.sha256.in_(own))
    if (found := int(conn.execute(held).scalar_one())) > quota.dataset_bytes:
        raise Forbidden(
            f"{owner[:120]} would have {found} bytes of datasets, more than the {quota.dataset_bytes} of one owner"
            f" (ACTINIUM_OWNER_DATASET_BYTES){OWNED}"
        )
