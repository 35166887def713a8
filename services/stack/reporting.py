"""Lines that a starting stack prints for people, directly or through the pipe of a detached start."""

import json
import os
import sys
from collections.abc import Iterable
from typing import IO

from actinium.errors import StackError

VARIABLE = "ACTINIUM_STACK_REPORT"
"""In a detached supervisor's environment: the number of the pipe to its parent."""


class Reporter:
    """Lines for people. A detached one falls silent after `ready`, when its parent has gone."""

    def __init__(self) -> None:
        given = os.environ.pop(VARIABLE, None)
        self._pipe: IO[str] | None = None
        self._detached = given is not None
        if given is not None:
            os.set_inheritable(int(given), False)
            self._pipe = os.fdopen(int(given), "w", encoding="utf-8")

    def say(self, line: str) -> None:
        """One line."""
        if not self._detached:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        self._send({"line": line})

    def ready(self) -> None:
        """The stack answers; there is nothing more to tell."""
        self._send({"ready": True})
        self._close()

    def failed(self, sentence: str) -> None:
        """The stack does not start."""
        self._send({"error": sentence})
        self._close()

    def _send(self, message: dict[str, object]) -> None:
        if self._pipe is None:
            return
        try:
            self._pipe.write(json.dumps(message) + "\n")
            self._pipe.flush()
        except OSError:
            self._close()  # the parent was interrupted: go on without it

    def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                return


def follow(lines: Iterable[str]) -> bool:
    """Show what a detached supervisor reports; whether it became ready. StackError with its sentence otherwise."""
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            raise StackError(message["error"])
        if message.get("ready"):
            return True
        sys.stdout.write(f"{message['line']}\n")
        sys.stdout.flush()
    return False
