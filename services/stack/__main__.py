"""`python -m services.stack up | down | status | check | backup FILE | restore FILE`: the service on one machine."""

import argparse
import sys

from actinium.errors import ActiniumError
from actinium.visible import visible
from services.loop import utc_now
from services.settings import Settings
from services.stack import up
from services.stack.down import down
from services.stack.status import status


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 done, 1 failed (with a sentence), 2 wrong usage. `status`: 0 when a stack runs, else 1."""
    parser = argparse.ArgumentParser(prog="python -m services.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start everything")
    starting.add_argument("--detach", action="store_true", help="leave it running and return once it is ready")
    commands.add_parser("down", help="stop everything")
    showing = commands.add_parser("status", help="show each service")
    showing.add_argument("--json", action="store_true", dest="as_json")
    checking = commands.add_parser("check", help="whether what the database holds agrees with itself")
    checking.add_argument("--json", action="store_true", dest="as_json")
    saving = commands.add_parser("backup", help="write all that the service knows to a file")
    saving.add_argument("file")
    restoring = commands.add_parser("restore", help="bring a backup into an empty home")
    restoring.add_argument("file")
    given = parser.parse_args(arguments)
    settings = Settings()
    try:
        match given.command:
            case "up" if given.detach:
                up.detached(settings)
            case "up":
                up.foreground(settings)
            case "down":
                down(settings, say=say)
            case "check":
                from services.stack.integrity import check  # it needs alembic, which takes a second to import

                return 0 if check(settings, as_json=given.as_json, say=say) else 1
            case "backup":
                from services.stack.backup import STREAM, backup

                backup(settings, given.file, now=utc_now(), say=say if given.file != STREAM else complain)
            case "restore":
                from services.stack.restore import restore

                restore(settings, given.file, now=utc_now(), say=say)
            case _:
                return 0 if status(settings, as_json=given.as_json, say=say) else 1
    except ActiniumError as error:
        sys.stderr.write(f"actinium: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


def say(line: str) -> None:
    """A line on standard output."""
    sys.stdout.write(visible(line) + "\n")


def complain(line: str) -> None:
    """A line on standard error."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
