"""`actinium token`: who may do what, for admins."""

from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, connected
from actinium.job import Role

app = typer.Typer(help="Tokens of the service (for admins).", **PLAIN)


@app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.SUBMITTER,
    as_json: Json = False,
) -> None:
    """Make a token; its secret is shown once."""
    from actinium import terminal

    with connected() as client:
        created = client.create_token(name, role.value)
    if as_json:
        terminal.show_json(created)
    else:
        terminal.complain(f"token {created['id']} ({created['role']}) for {created['name']}; it is shown only now:")
        terminal.say(created["token"])


@app.command("ls")
def token_ls(as_json: Json = False) -> None:
    """List tokens, without their secrets."""
    from actinium import terminal

    with connected() as client:
        items = client.tokens()
    if as_json:
        terminal.show_json(items)
        return
    columns = ("id", "name", "role", "created_at", "last_used_at", "revoked_at")
    rows = [tuple(str(item[column] if item[column] is not None else "-")[:19] for column in columns) for item in items]
    terminal.show_table(tuple(column.removesuffix("_at") for column in columns), rows, numbers=("id",))


@app.command("revoke")
def token_revoke(token_id: Annotated[int, typer.Argument(metavar="ID", min=1)], as_json: Json = False) -> None:
    """Make a token worthless."""
    from actinium import terminal

    with connected() as client:
        client.revoke_token(token_id)
    if as_json:
        terminal.show_json({"id": token_id, "revoked": True})
    else:
        terminal.say(f"token {token_id} is revoked")
