"""Commands for results: compare, export; and for the catalogue of levels."""

from pathlib import Path
from typing import Annotated

import typer

from actinium.cli.options import PLAIN, Json, Study, connected

app = typer.Typer(**PLAIN)


@app.command()
def compare(study: Study, as_json: Json = False) -> None:
    """Print the three comparisons: dead units, convergence, small batches."""
    from actinium.terminal import output as terminal
    from actinium.terminal.compare import comparisons, mixed_measurements

    with connected() as client:
        if as_json:
            terminal.show_json(client.report(study))
            return
        report = client.read_report(study)
    if warning := mixed_measurements(report):
        terminal.say(f"{warning}\n")
    for table in comparisons(report):
        if table.rows:
            terminal.show_table(table.columns, table.rows, title=table.title, numbers=table.numbers)
        else:
            terminal.say(table.title)
        terminal.say(f"{table.note}\n")


@app.command()
def export(
    study: Study,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; .csv, .parquet or .jsonl.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet or jsonl, whatever FILE's ending.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a row a trial to a file."""
    from actinium.terminal import output as terminal

    chosen = file_format or file.suffix.removeprefix(".")
    if chosen not in ("csv", "parquet", "jsonl"):
        raise typer.BadParameter(
            f"{chosen or str(file)!r} is no format; give csv, parquet or jsonl", param_hint="--format"
        )
    with connected() as client:
        path = client.export(study, file, file_format=chosen)
    if as_json:
        terminal.show_json({"path": str(path), "bytes": path.stat().st_size, "format": chosen})
    else:
        terminal.say(f"{path}: {path.stat().st_size:,} bytes")


@app.command()
def catalogue(as_json: Json = False) -> None:
    """List the levels: activations, normalizations, initializations; the models, datasets, objectives and metrics."""
    from actinium.measurements.page import span
    from actinium.terminal import output as terminal
    from actinium.terminal.show import learned, number, parameters

    with connected() as client:
        document = client.catalogue()
    if as_json:
        terminal.show_json(document)
        return
    for kind in ("activations", "normalizations", "initializations"):
        rows = [(d["name"], d["equation"], parameters(d["parameters"]), d["citation"]) for d in document[kind]]
        terminal.show_table(("name", "equation", "parameters", "source"), rows, title=kind)
    slopes = [(d["name"], d["derivative"], number(d["gain"])) for d in document["activations"]]
    terminal.show_table(("name", "derivative", "gain"), slopes, title="activations' derivatives", numbers=("gain",))
    models = [(d["name"], parameters(d["parameters"]), d["description"]) for d in document["models"]]
    terminal.show_table(("name", "parameters", "what it is"), models, title="models")
    rows = [(d["name"], f"{d['examples']:,}", learned(d), d["citation"]) for d in document["datasets"]]
    terminal.show_table(("name", "examples", "to learn", "source"), rows, title="datasets", numbers=("examples",))
    rows = [(d["name"], d["loss"], d["error"], d["citation"]) for d in document["objectives"]]
    terminal.show_table(("name", "loss", "error", "source"), rows, title="objectives")
    metrics = [(d["name"], d["unit"], span(d["low"], d["high"]), d["definition"]) for d in document["metrics"]]
    terminal.show_table(("name", "unit", "range", "definition"), metrics, title="metrics")
