"""`actinium token`: who may do what, for admins."""

from datetime import date
from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, connected
from actinium.job import Role

HOURS = {"d": 24.0, "h": 1.0}

app = typer.Typer(help="Tokens of the service (for admins).", **PLAIN)


@app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.SUBMITTER,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When it ends: 30d, 12h, or a date as 2027-01-31.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token; its secret is shown once."""
    from actinium.terminal import output as terminal

    ending = {} if expires is None else expiry(expires)
    with connected() as client:
        created = client.create_token(name, role.value, **ending)
    if as_json:
        terminal.show_json(created)
    else:
        terminal.complain(f"token {created['id']} ({created['role']}) for {created['name']}; it is shown only now:")
        if created["namesakes"]:
            terminal.complain(f"{created['namesakes']} more tokens are called {name!r}: they own the same studies")
        terminal.say(created["token"])


def expiry(word: str) -> dict[str, float | str]:
    """The fields of a token request for `30d`, `12h` or a date; a date means the end of that day, UTC."""
    number, unit = word[:-1], word[-1:]
    if unit in HOURS and number.isascii() and number.isdigit() and len(number) < 8:
        return {"expires_in_days": int(number) * HOURS[unit] / 24.0}
    try:
        return {"expires_at": f"{date.fromisoformat(word)}T23:59:59Z"}
    except ValueError:
        raise typer.BadParameter(f"{word!r} is not accepted; give 30d, 12h, or a date as 2027-01-31") from None


@app.command("ls")
def token_ls(as_json: Json = False) -> None:
    """List tokens, without their secrets."""
    from actinium.terminal import output as terminal

    with connected() as client:
        items = client.tokens()
    if as_json:
        terminal.show_json(items)
        return
    columns = ("id", "name", "role", "created_at", "expires_at", "last_used_at", "revoked_at")
    rows = [tuple(str(item[column] if item[column] is not None else "-")[:19] for column in columns) for item in items]
    terminal.show_table(tuple(column.removesuffix("_at") for column in columns), rows, numbers=("id",))


@app.command("revoke")
def token_revoke(token_id: Annotated[int, typer.Argument(metavar="ID", min=1)], as_json: Json = False) -> None:
    """Revoke a token: the service no longer accepts it."""
    from actinium.terminal import output as terminal

    with connected() as client:
        client.revoke_token(token_id)
    if as_json:
        terminal.show_json({"id": token_id, "revoked": True})
    else:
        terminal.say(f"token {token_id} is revoked")
