"""`actinium data`: the datasets that studies can name."""

from pathlib import Path
from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, child, connected

app = typer.Typer(help="The datasets that studies can name.", **PLAIN)


@app.command("ls")
def data_ls(
    added: Annotated[bool, typer.Option("--added", help="Those that were added to the service, instead.")] = False,
    as_json: Json = False,
) -> None:
    """List the datasets and whether their files are here."""
    if added:
        _list_added(as_json=as_json)
        return
    child("workers.datasets", "ls", *(["--json"] if as_json else []))


def _list_added(*, as_json: bool) -> None:
    from actinium.terminal import output as terminal

    with connected() as client:
        items = [item for item in client.datasets() if item["sha256"] is not None]
    if as_json:
        terminal.show_json(items)
        return
    rows = [
        (d["name"], f"{d['examples']:,}", "x".join(map(str, d["shape"])), str(d["classes"]), d["owner"], d["sha256"])
        for d in items
    ]
    columns = ("dataset", "examples", "shape", "classes", "owner", "SHA-256")
    terminal.show_table(columns, rows, numbers=("examples", "classes"))


@app.command("add")
def data_add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An .npz of inputs and labels or targets; or a CSV or Parquet file.")
    ],
    name: Annotated[str | None, typer.Option(help="What studies call it; by default, the file's name.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="The order of axes where the shape does not tell: NCHW, NHWC, NHW, NTF, NFT.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column of a table that is to be learned.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="classification or regression, where labels do not tell.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give the service a dataset of your own; it says what it recognized."""
    from actinium.terminal import output as terminal

    with connected() as client:
        given = layout.upper() if layout else None
        added = client.add_dataset(file, name, layout=given, label=label, objective=objective)
    if as_json:
        terminal.show_json(added)
        return
    shape = "x".join(map(str, added["shape"]))
    learned = f"{added['classes']} classes" if added["classes"] else "a number to predict"
    terminal.say(f"{added['name']}: {added['examples']:,} examples of {shape}, {learned}")
    for sentence in (added["recognized"] or {}).get("said", []):
        terminal.say(f"  {sentence}")
    terminal.say(f"  SHA-256: {added['sha256']}")
    terminal.say(f"  in a study: task: {{dataset: {added['name']}}}")


@app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="The dataset.")]) -> None:
    """Download a dataset's official files and check them."""
    child("workers.datasets", "fetch", name)


@app.command("rm")
def data_rm(name: Annotated[str, typer.Argument(help="A dataset that was added.")]) -> None:
    """Delete a dataset of your own, when no open study trains on it."""
    from actinium.terminal import output as terminal

    with connected() as client:
        client.delete_dataset(name)
    terminal.say(f"dataset {name} is deleted")
