"""The command line. Exit 0 done, 1 failed, 2 wrong usage; errors are sentences on standard error.

A file a group of commands. What takes long to import is imported by the command that needs it, so that
`actinium --help` answers at once.
"""

import os
import sys

import typer

from actinium.cli import data, life, results, stack, studies, submission, token
from actinium.cli.options import PLAIN
from actinium.errors import ActiniumError
from actinium.visible import visible

app = typer.Typer(help="Studies of activation functions, normalization layers and initializations.", **PLAIN)
for group in (stack, submission, studies, life, results):
    app.add_typer(group.app)
app.add_typer(data.app, name="data")
app.add_typer(token.app, name="token")


def main() -> None:
    """The `actinium` command."""
    try:
        app()
    except ActiniumError as error:
        _fail(str(error) or type(error).__name__)
    except KeyboardInterrupt:
        _fail("interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _fail(sentence: str) -> None:
    print(visible(f"actinium: {sentence}"), file=sys.stderr)
    raise SystemExit(1) from None
