"""The command line. Exit 0 done, 1 failed, 2 wrong usage; errors are sentences on standard error.

What takes long to import is imported by the command that needs it, so that `actinium --help` answers at once.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actinium.errors import ActiniumError
from actinium.job import Role

if TYPE_CHECKING:
    from actinium.client import Client

PLAIN: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
app = typer.Typer(help="Studies of activation functions, normalization layers and initializations.", **PLAIN)
data = typer.Typer(help="The datasets that studies can name.", **PLAIN)
token = typer.Typer(help="Tokens of the service (for admins).", **PLAIN)
app.add_typer(data, name="data")
app.add_typer(token, name="token")

Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, or its name if that is unique.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    print(f"actinium: {sentence}", file=sys.stderr)
    raise SystemExit(1) from None


def _client() -> "Client":
    from actinium.client import Client

    return Client()


def _child(module: str, *arguments: str) -> None:
    """Runs a module of the house in a process of its own; its exit code becomes ours."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])  # noqa: S603 - our own modules
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child hears Ctrl-C itself, and ends in its order
    try:
        raise typer.Exit(abs(process.wait()))
    finally:
        signal.signal(signal.SIGINT, previous)


@app.command()
def up(detach: Annotated[bool, typer.Option("--detach", help="Leave the stack running and return.")] = False) -> None:
    """Start the whole stack on this machine."""
    _child("services.stack", "up", *(["--detach"] if detach else []))


@app.command()
def down() -> None:
    """Stop the stack of this machine."""
    _child("services.stack", "down")


@app.command()
def status(as_json: Json = False) -> None:
    """Show each service with its state, address and log."""
    _child("services.stack", "status", *(["--json"] if as_json else []))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check whether this machine can run the stack, and whether it does."""
    from dataclasses import asdict

    from actinium import terminal
    from actinium.doctor import examine

    findings = list(examine())
    if as_json:
        terminal.show_json([asdict(finding) for finding in findings])
    else:
        terminal.show_table(("check", "", "found"), [(f.check, f.verdict, f.detail) for f in findings])
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


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
    from actinium import terminal
    from actinium.overrides import with_overrides
    from actinium.study import load_study, read_study

    wanted = [*(overrides or []), *([] if priority is None else [f"priority={priority}"])]
    malformed = [word for word in wanted if "=" not in word]
    if malformed:
        raise typer.BadParameter(f"{malformed[0]!r}: give PATH=VALUE", param_hint="--set")
    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    document = load_study(sys.stdin.read()) if str(file) == "-" else read_study(file)
    with _client() as client:
        answer = client.submit(with_overrides(document, wanted), dry_run=dry_run)
        if as_json and not (watch_it and not dry_run):
            terminal.show_json(answer)
        elif not as_json:
            _tell_submitted(answer, dry_run=dry_run)
        if watch_it and not dry_run:
            _watch(client, answer["id"], answer["name"], as_json=as_json)


def _tell_submitted(answer: dict[str, Any], *, dry_run: bool) -> None:
    from actinium import terminal
    from actinium.paths import cell_label
    from actinium.untrained import tell_untrained

    done = "would be accepted" if dry_run else f"is study {answer['id']}"
    terminal.say(f"{answer['name']} {done}: {answer['cells']} cells, {answer['trials']} trials")
    for design in answer["invalid_designs"]:
        terminal.say(f"  left out: {cell_label(design['cell'])}: {design['reason']}")
    if dry_run:
        tell_untrained(answer)
    else:
        terminal.say(f"  dashboard  {answer['links']['dashboard']}")
        terminal.say(f"  follow     actinium watch {answer['id']}")


def _watch(client: "Client", study: int | str, name: str, *, as_json: bool) -> None:
    from actinium import terminal

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
    from actinium import terminal

    with _client() as client:
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
def show(study: Study, as_json: Json = False) -> None:
    """Show a study: state, counts, factors, what was left out, what failed."""
    from actinium import terminal
    from actinium.show import lines

    with _client() as client:
        document = client.study(study)
        failed = client.trials_page(study, state="failed", limit=10)["items"]
    if as_json:
        terminal.show_json({**document, "failed_trials": failed})
        return
    for line in lines(document, failed):
        terminal.say(line)


@app.command()
def watch(study: Study, as_json: Json = False) -> None:
    """Show a study's progress until it has ended."""
    with _client() as client:
        document = client.study(study)
        _watch(client, document["id"], document["name"], as_json=as_json)


@app.command()
def cancel(study: Study, as_json: Json = False) -> None:
    """Cancel what has not finished; what has stays."""
    from actinium import terminal

    with _client() as client:
        document = client.cancel(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(
            f"{document['name']} is {document['state']}: {document['counts']['states']['cancelled']} trials cancelled"
        )


@app.command()
def retry(study: Study, as_json: Json = False) -> None:
    """Queue again what failed or was cancelled."""
    from actinium import terminal

    with _client() as client:
        document = client.retry(study)
    if as_json:
        terminal.show_json(document)
    else:
        terminal.say(f"{document['retried']} trials of {document['name']} are queued again")


@app.command()
def compare(study: Study, as_json: Json = False) -> None:
    """Print the three comparisons: dead units, convergence, small batches."""
    from actinium import terminal
    from actinium.compare import comparisons

    with _client() as client:
        report = client.report(study)
    if as_json:
        terminal.show_json(report)
        return
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
    from actinium import terminal

    chosen = file_format or file.suffix.removeprefix(".")
    if chosen not in ("csv", "parquet", "jsonl"):
        raise typer.BadParameter(
            f"{chosen or str(file)!r} is no format; give csv, parquet or jsonl", param_hint="--format"
        )
    with _client() as client:
        path = client.export(study, file, file_format=chosen)
    if as_json:
        terminal.show_json({"path": str(path), "bytes": path.stat().st_size, "format": chosen})
    else:
        terminal.say(f"{path}: {path.stat().st_size:,} bytes")


@app.command()
def catalogue(as_json: Json = False) -> None:
    """List the levels: activations, normalizations, initializations; and the datasets."""
    from actinium import terminal
    from actinium.show import number, parameters

    with _client() as client:
        document = client.catalogue()
    if as_json:
        terminal.show_json(document)
        return
    for kind in ("activations", "normalizations", "initializations"):
        rows = [(d["name"], d["equation"], parameters(d["parameters"]), d["citation"]) for d in document[kind]]
        terminal.show_table(("name", "equation", "parameters", "source"), rows, title=kind)
    slopes = [(d["name"], d["derivative"], number(d["gain"])) for d in document["activations"]]
    terminal.show_table(("name", "derivative", "gain"), slopes, title="activations' derivatives", numbers=("gain",))
    rows = [(d["name"], f"{d['examples']:,}", str(d["classes"]), d["citation"]) for d in document["datasets"]]
    terminal.show_table(
        ("name", "examples", "classes", "source"), rows, title="datasets", numbers=("examples", "classes")
    )


@data.command("ls")
def data_ls(
    added: Annotated[bool, typer.Option("--added", help="Those that were added to the service, instead.")] = False,
    as_json: Json = False,
) -> None:
    """List the datasets and whether their files are here."""
    if added:
        _list_added(as_json=as_json)
        return
    _child("workers.datasets", "ls", *(["--json"] if as_json else []))


def _list_added(*, as_json: bool) -> None:
    from actinium import terminal

    with _client() as client:
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


@data.command("add")
def data_add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An .npz of inputs [N, C, H, W] or [N, D] and labels [N].")
    ],
    name: Annotated[str | None, typer.Option(help="What studies call it; by default, the file's name.")] = None,
    as_json: Json = False,
) -> None:
    """Give the service a dataset of your own."""
    from actinium import terminal

    with _client() as client:
        added = client.add_dataset(file, name)
    if as_json:
        terminal.show_json(added)
        return
    shape = "x".join(map(str, added["shape"]))
    terminal.say(f"{added['name']}: {added['examples']:,} examples of {shape}, {added['classes']} classes")
    terminal.say(f"  SHA-256    {added['sha256']}")
    terminal.say(f"  in a study task: {{dataset: {added['name']}}}")


@data.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="The dataset.")]) -> None:
    """Download a dataset's official files and check them."""
    _child("workers.datasets", "fetch", name)


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.SUBMITTER,
    as_json: Json = False,
) -> None:
    """Make a token; its secret is shown once."""
    from actinium import terminal

    with _client() as client:
        created = client.create_token(name, role.value)
    if as_json:
        terminal.show_json(created)
    else:
        terminal.complain(f"token {created['id']} ({created['role']}) for {created['name']}; it is shown only now:")
        terminal.say(created["token"])


@token.command("ls")
def token_ls(as_json: Json = False) -> None:
    """List tokens, without their secrets."""
    from actinium import terminal

    with _client() as client:
        items = client.tokens()
    if as_json:
        terminal.show_json(items)
        return
    columns = ("id", "name", "role", "created_at", "last_used_at", "revoked_at")
    rows = [tuple(str(item[column] if item[column] is not None else "-")[:19] for column in columns) for item in items]
    terminal.show_table(tuple(column.removesuffix("_at") for column in columns), rows, numbers=("id",))


@token.command("revoke")
def token_revoke(token_id: Annotated[int, typer.Argument(metavar="ID", min=1)], as_json: Json = False) -> None:
    """Make a token worthless."""
    from actinium import terminal

    with _client() as client:
        client.revoke_token(token_id)
    if as_json:
        terminal.show_json({"id": token_id, "revoked": True})
    else:
        terminal.say(f"token {token_id} is revoked")


if __name__ == "__main__":
    main()
