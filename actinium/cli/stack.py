"""Commands for this machine's stack: start, stop, status, doctor, backup, restore."""

from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, child

app = typer.Typer(**PLAIN)


@app.command()
def up(detach: Annotated[bool, typer.Option("--detach", help="Leave the stack running and return.")] = False) -> None:
    """Start the whole stack on this machine."""
    child("services.stack", "up", *(["--detach"] if detach else []))


@app.command()
def down() -> None:
    """Stop the stack of this machine."""
    child("services.stack", "down")


@app.command()
def status(as_json: Json = False) -> None:
    """Show each service with its state, address and log."""
    child("services.stack", "status", *(["--json"] if as_json else []))


@app.command()
def doctor(
    database: Annotated[
        bool, typer.Option("--database", help="Check instead whether what the database holds agrees with itself.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check whether this machine can run the stack, and whether it does; or what its database holds."""
    if database:
        child("services.stack", "check", *(["--json"] if as_json else []))
    from dataclasses import asdict

    from actinium.terminal import output as terminal
    from actinium.terminal.doctor import examine

    results = list(examine())
    if as_json:
        terminal.show_json([asdict(result) for result in results])
    else:
        terminal.show_table(("check", "", "found"), [(r.check, r.verdict, r.detail) for r in results])
    if any(result.verdict == "fail" for result in results):
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to; it must not be there yet. -: standard output.")
    ],
) -> None:
    """Write all that the service knows to one file: its database, and MLflow's with the artifacts. It works on."""
    child("services.stack", "backup", "--", file)


@app.command()
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup. -: standard input.")],
) -> None:
    """Bring a backup into an empty ACTINIUM_HOME; `actinium up` then goes on with it."""
    child("services.stack", "restore", "--", file)
