"""What the commands share: arguments, the client, and how a module of another package is run."""

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from actinium.client import Client


PLAIN: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}

Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, or its name if that is unique.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def connected() -> "Client":
    """A client of the service that is set, or of this machine's stack."""
    from actinium.client import Client

    return Client()


def child(module: str, *arguments: str) -> None:
    """Runs a module of Actinium in a process of its own; its exit code becomes that of the command."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])  # noqa: S603 - our own modules
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child hears Ctrl-C itself, and ends in its order
    try:
        raise typer.Exit(abs(process.wait()))
    finally:
        signal.signal(signal.SIGINT, previous)
