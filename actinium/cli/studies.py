"""Commands that list studies and show one."""

from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, Study, connected

app = typer.Typer(**PLAIN)


@app.command("ls")
def ls_studies(
    q: Annotated[str | None, typer.Option(help="Words of the name or description.")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, paused, finished or cancelled.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who submitted it.")] = None,
    project: Annotated[str | None, typer.Option(help="The project.")] = None,
    tag: Annotated[str | None, typer.Option(help="KEY or KEY=VALUE.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 30,
    as_json: Json = False,
) -> None:
    """List studies, newest first."""
    from actinium.terminal import output as terminal

    with connected() as client:
        page = client.studies_page(limit=limit, q=q, state=state, owner=owner, project=project, tag=tag)
    if as_json:
        terminal.show_json(page)
        return
    rows = [
        (
            str(item["id"]),
            item["name"],
            item["project"],
            item["owner"],
            item["created_at"][:16].replace("T", " "),
            item["state"],
            f"{100 * item['progress']:.0f}%",
            str(sum(item["counts"]["states"].values())),
        )
        for item in page["items"]
    ]
    columns = ("id", "name", "project", "owner", "submitted (UTC)", "state", "done", "trials")
    terminal.show_table(columns, rows, numbers=("id", "done", "trials"))
    if page["next_cursor"]:
        terminal.complain(f"there are more; --limit {min(1000, 4 * limit)} shows more, --q WORDS narrows")


@app.command()
def show(
    study: Study,
    trial: Annotated[int | None, typer.Option(metavar="ID", help="One of its trials, and what happened to it.")] = None,
    as_json: Json = False,
) -> None:
    """Show a study: state, counts, factors, what was left out, what failed; or one of its trials."""
    from actinium.errors import NotFound
    from actinium.terminal import output as terminal
    from actinium.terminal.show import lines, trial_lines

    with connected() as client:
        document = client.study(study)
        if trial is not None:
            one = client.trial(trial)
            if one["study_id"] != document["id"]:
                raise NotFound(f"trial {trial} is one of study {one['study_id']}, not of {document['name']}")
            happened = client.trial_events(trial)
            if as_json:
                terminal.show_json({**one, "events": happened})
            else:
                for line in trial_lines(one, happened):
                    terminal.say(line)
            return
        failed = client.trials_page(study, state="failed", limit=10)["items"]
    if as_json:
        terminal.show_json({**document, "failed_trials": failed})
        return
    for line in lines(document, failed):
        terminal.say(line)
