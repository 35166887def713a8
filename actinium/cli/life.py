"""Commands for a submitted study: cancel, pause, resume, retry, extend, archive, delete."""

from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, Study, connected

app = typer.Typer(**PLAIN)


@app.command()
def cancel(study: Study, as_json: Json = False) -> None:
    """Cancel what has not finished; what has stays."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.cancel(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(
            f"{document['name']} is {document['state']}: {document['counts']['states']['cancelled']} trials cancelled"
        )


@app.command()
def pause(study: Study, as_json: Json = False) -> None:
    """Stop training a study until it is resumed; trials in training go on from their last checkpoint."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.pause(study)
    if as_json:
        terminal.show_json(document)
    else:
        queued = document["counts"]["states"]["queued"]
        terminal.say(f"{document['name']} is {document['state']}: {queued} trials wait for `actinium resume`")


@app.command()
def resume(study: Study, as_json: Json = False) -> None:
    """Go on with a study that was paused."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.resume(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(
            f"{document['name']} is {document['state']}: {document['counts']['states']['queued']} trials queued"
        )


@app.command()
def retry(study: Study, as_json: Json = False) -> None:
    """Queue again what failed or was cancelled."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.retry(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(f"{document['retried']} trials of {document['name']} are queued again")


@app.command()
def mirror(
    study: Study,
    everything: Annotated[bool, typer.Option("--all", help="Make every run anew, whatever it shows.")] = False,
    as_json: Json = False,
) -> None:
    """Mirror to MLflow anew what is missing there, or shows something else than the record."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.mirror(study, everything=everything)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(
            f"{document['trials']} trials of {document['name']} are looked at again; MLflow will show them all"
        )


@app.command()
def extend(
    study: Study,
    seeds: Annotated[
        str | None, typer.Option(metavar="N|LIST", help="A count N, the seeds 0 to N-1; or a list, as 10,11,12.")
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="factors.PATH+=LEVEL", help="A level, or [LEVEL, ...], for a factor it has."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add seeds or levels to a study; what it has stays as it is."""
    from actinium.paths import cell_label
    from actinium.terminal import output as terminal
    from actinium.terminal.overrides import added_levels

    if seeds is None and not levels:
        raise typer.BadParameter("give --seeds, --set or both", param_hint="--seeds")
    with connected() as client:
        document = client.extend(study, seeds=_seeds(seeds), factors=added_levels(levels or []))
    if as_json:
        terminal.show_json(document)
        return
    added = f"{document['added_cells']} cells and {document['added_trials']} trials are new"
    terminal.say(f"{document['name']} is {document['state']}: {added}")
    for design in document["invalid_designs"]:
        terminal.say(f"  left out: {cell_label(design['cell'])}: {design['reason']}")


def _seeds(word: str | None) -> int | list[int] | None:
    """A count, or a list with commas."""
    if word is None:
        return None
    try:
        return int(word) if "," not in word else [int(part) for part in word.strip("[], ").split(",")]
    except ValueError:
        raise typer.BadParameter(f"{word!r} is no count and no list; as 20 or 10,11,12", param_hint="--seeds") from None


@app.command()
def archive(
    study: Study,
    undo: Annotated[bool, typer.Option("--undo", help="Put it back among the others.")] = False,
    as_json: Json = False,
) -> None:
    """Put a study away: lists leave it out, and nothing of it is lost."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.archive(study, undo=undo)
    if as_json:
        terminal.show_json(document)
    else:
        where = "is among the others again" if undo else "is put away; `actinium archive --undo` puts it back"
        terminal.say(f"{document['name']} {where}")


@app.command()
def delete(study: Study, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete a study that has ended, with its trials, frames and MLflow runs. There is no way back."""
    from actinium.terminal import output as terminal

    with connected() as client:
        document = client.study(study)
        if not yes:
            asked = f"Delete study {document['id']}, {document['name']!r}, with its {document['trials']} trials?"
            typer.confirm(asked, abort=True)
        client.delete(document["id"])
    terminal.say(f"study {document['id']} is deleted")
