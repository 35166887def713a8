"""How many trials one owner may have waiting, over all of their studies."""

from sqlalchemy import Connection

from actinium.errors import TooMany
from db.statements import statement


def take_turn(conn: Connection, *, owner: str, most_queued: int | None) -> None:
    """Before trials are written: two requests of one owner are counted one after the other, where there is a limit."""
    if most_queued is not None:
        conn.execute(statement("owner_lock"), {"owner": owner})


def check_queued(conn: Connection, *, owner: str, most_queued: int | None) -> None:
    """After trials were written: TooMany, for the caller to roll back, where the owner has more than `most_queued`."""
    if most_queued is None:
        return
    queued = conn.execute(statement("owner_queued"), {"owner": owner, "most": most_queued + 1}).scalar_one()
    if queued > most_queued:
        raise TooMany(
            f"{owner[:120]} would have more than {most_queued} trials queued, which is the limit of one owner"
            " (ACTINIUM_OWNER_QUEUED_TRIALS); wait until some have ended, cancel a study, or ask for fewer"
        )
