"""Commands that submit a study and watch it until it has ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actinium.cli.options import PLAIN, Json, Study, connected

if TYPE_CHECKING:
    from actinium.client import Client


app = typer.Typer(**PLAIN)


@app.command()
def submit(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A study in YAML or JSON; - reads standard input.", allow_dash=True)
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change the study, e.g. training.epochs=5.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, count, look at untrained networks; write nothing.")
    ] = False,
    watch_it: Annotated[bool, typer.Option("--watch", help="Show progress until the study has ended.")] = False,
    priority: Annotated[int | None, typer.Option(help="From -100 to 100; higher goes first.")] = None,
    as_json: Json = False,
) -> None:
    """Submit a study."""
    from actinium.study import read_study
    from actinium.terminal import output as terminal
    from actinium.terminal.overrides import with_overrides

    wanted = [*(overrides or []), *([] if priority is None else [f"priority={priority}"])]
    malformed = [word for word in wanted if "=" not in word]
    if malformed:
        raise typer.BadParameter(f"{malformed[0]!r}: give PATH=VALUE", param_hint="--set")
    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    document = read_study(None if str(file) == "-" else file)
    with connected() as client:
        answer = client.submit(with_overrides(document, wanted), dry_run=dry_run)
        if as_json and not (watch_it and not dry_run):
            terminal.show_json(answer)
        elif not as_json:
            _tell_submitted(answer, dry_run=dry_run)
        if watch_it and not dry_run:
            _watch(client, answer["id"], answer["name"], as_json=as_json)


def _tell_submitted(answer: dict[str, Any], *, dry_run: bool) -> None:
    from actinium.paths import cell_label
    from actinium.terminal import output as terminal
    from actinium.terminal.preflight import show_preflight

    done = "would be accepted" if dry_run else f"is study {answer['id']}"
    terminal.say(f"{answer['name']} {done}: {answer['cells']} cells, {answer['trials']} trials")
    if answer["reused"]:
        terminal.say(f"  reused: {answer['reused']} trials of the same digest, from earlier studies")
    for design in answer["invalid_designs"]:
        terminal.say(f"  left out: {cell_label(design['cell'])}: {design['reason']}")
    for levels in answer["equal_levels"]:
        both = f"{cell_label(levels['levels'])} = {cell_label(levels['same_as'])}"
        cells = f"{levels['cells']} cells" if levels["cells"] > 1 else "1 cell"
        done_with = "not run twice" if levels["merged"] else "run, with equal numbers"
        terminal.say(f"  equal: {both}: {levels['reason']}; {cells} {done_with}")
    for family in answer["families"]:
        if family["named"]:
            needed = f"{family['tests']} tests need {family['seeds_needed']} seeds"
            terminal.say(f"  questions: {needed}; the study has {family['seeds']}")
    for notice in answer["notices"]:
        terminal.say(f"  note: {notice}")
    if dry_run:
        show_preflight(answer)
    else:
        terminal.say(f"  dashboard  {answer['links']['dashboard']}")
        terminal.say(f"  follow     actinium watch {answer['id']}")


def _watch(client: "Client", study: int | str, name: str, *, as_json: bool) -> None:
    from actinium.terminal import output as terminal

    with terminal.progress_of(name) as watcher:
        document = client.wait(study, watcher)
    states, outcomes = document["counts"]["states"], document["counts"]["outcomes"]
    if as_json:
        terminal.show_json(document)
    else:
        ends = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count) or "none measured"
        terminal.say(
            f"{name} {document['state']}: {states['succeeded']} trials succeeded ({ends}), {states['failed']} failed"
        )
    if states["failed"] or document["state"] == "cancelled":
        if states["failed"]:
            terminal.complain(f"{states['failed']} trials failed; `actinium show {study}` names them")
        raise typer.Exit(1)


@app.command()
def watch(study: Study, as_json: Json = False) -> None:
    """Show a study's progress until it has ended."""
    with connected() as client:
        document = client.study(study)
        _watch(client, document["id"], document["name"], as_json=as_json)
