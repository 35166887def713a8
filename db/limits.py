"""The limit on queued trials of one owner, over all of their studies."""

from sqlalchemy import Connection

from actinium.errors import TooMany
from db.statements import statement


def take_turn(conn: Connection, *, owner: str, most_queued: int | None) -> None:
    """Call it before trials are written: where there is a limit, requests of one owner wait for each other, so that two
    cannot pass it together.
    """
    if most_queued is not None:
        conn.execute(statement("owner_lock"), {"owner": owner})


def check_queued(conn: Connection, *, owner: str, most_queued: int | None) -> None:
    """Call it after trials were written: TooMany where the owner now has more than `most_queued`; roll back then."""
    if most_queued is None:
        return
    queued = conn.execute(statement("owner_queued"), {"owner": owner, "most": most_queued + 1}).scalar_one()
    if queued > most_queued:
        raise TooMany(
            f"{owner[:120]} would have more than {most_queued} trials queued, which is the limit of one owner"
            " (ACTINIUM_OWNER_QUEUED_TRIALS); wait until some have ended, cancel a study, or ask for fewer"
        )
