"""A study's life after its submission: stop it, go on with it, run again what failed."""

import typer

from actinium.cli.options import PLAIN, Json, Study, connected

app = typer.Typer(**PLAIN)


@app.command()
def cancel(study: Study, as_json: Json = False) -> None:
    """Cancel what has not finished; what has stays."""
    from actinium import terminal

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
    """Stop training a study until it is resumed; trials in training will begin again."""
    from actinium import terminal

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
    from actinium import terminal

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
    from actinium import terminal

    with connected() as client:
        document = client.retry(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(f"{document['retried']} trials of {document['name']} are queued again")
