"""`python -m workers.datasets ls|fetch NAME`: what `actinium data` calls. Exit 0 done, 1 failed, 2 wrong usage."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from actinium.datasets.official import OFFICIAL, default_root, present
from actinium.datasets.table import DATASETS
from actinium.errors import ActiniumError
from workers.datasets.fetch import fetch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(prog="actinium data", description="The datasets that studies can name.")
    parser.add_argument("--root", type=Path, help="the folder above the datasets; default: ACTINIUM_DATA")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ls", help="list the datasets and whether their files are here")
    listing.add_argument("--json", action="store_true", help="print JSON")
    fetching = commands.add_parser("fetch", help="download a dataset's official files and check their SHA-256")
    fetching.add_argument("name", help=", ".join(OFFICIAL))
    given = parser.parse_args(arguments)
    root: Path = given.root or default_root()
    try:
        if given.command == "ls":
            list_datasets(root, as_json=given.json)
        else:
            fetch_shown(given.name, root)
    except (ActiniumError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def list_datasets(root: Path, *, as_json: bool) -> None:
    """Name, size, shape, whether it is there, and where."""
    rows = [
        {
            "name": definition.name,
            "examples": definition.examples,
            "official_test": definition.official_test,
            "classes": definition.classes,
            "shape": list(definition.shape),
            "present": present(definition.name, root),
            "folder": str(root / definition.name) if definition.name in OFFICIAL else None,
            "generated": definition.generated(),
            "citation": definition.citation,
        }
        for definition in DATASETS.values()
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table("dataset", "examples", "shape", "here", Column("folder", overflow="fold"))
    for row in rows:
        shape = "x".join(map(str, row["shape"])) if isinstance(row["shape"], list) else ""
        here = "yes" if row["present"] else f"no: actinium data fetch {row['name']}"
        table.add_row(
            str(row["name"]),
            f"{row['examples']:,}",
            shape,
            here,
            str(row["folder"] or ("is generated" if row["generated"] else "ships with actinium")),
        )
    Console().print(table)


def fetch_shown(name: str, root: Path) -> None:
    """Fetch with a progress bar on standard error; the folder on standard output."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total)

        folder = fetch(name, root, progress=progress)
    sys.stdout.write(f"{folder if name in OFFICIAL else name + ' needs no files'}\n")


if __name__ == "__main__":
    sys.exit(main())
