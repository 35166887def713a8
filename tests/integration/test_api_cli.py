"""The command line against the real API: what it prints, what it exits with, and that errors are sentences."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actinium import cli
from actinium.job import Role
from actinium.measurements import MEASUREMENTS

STUDY = """
name: demo
description: Three comparisons
seeds: 2
training: {epochs: 2}
factors:
  activation: [relu, {name: leaky_relu, negative_slope: 0.1}]
  normalization: [none, batch, group, instance]
  training.batch_size: [2, 32]
"""


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Actinium = Callable[..., Said]


@pytest.fixture
def actinium(
    api_url: str,
    secrets: dict[Role, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Actinium:
    """`actinium(*arguments)` as an admin of the running API, without a terminal."""
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.ADMIN])
    monkeypatch.setenv("ACTINIUM_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["actinium", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return run


@pytest.fixture
def study(tmp_path: Path) -> str:
    """The path of a study's file."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return str(path)


def test_submit_show_ls_compare_export(actinium: Actinium, study: str, train: Any, tmp_path: Path) -> None:
    """The way of a study, for people."""
    dry = actinium("submit", study, "--dry-run")
    assert dry.code == 0
    assert "would be accepted: 12 cells, 24 trials" in dry.out
    assert "left out: relu·instance·batch_size=2: layer 1: instance normalization" in dry.out
    assert "backward a layer" in dry.out and "MiB" in dry.out
    assert actinium("ls", "--json").out.count('"id"') == 0

    made = actinium("submit", study, "--set", "training.learning_rate=1e-2", "--priority", "3")
    assert made.code == 0
    assert "demo is study 1: 12 cells, 24 trials" in made.out
    shown = json.loads(actinium("show", "demo", "--json").out)
    assert shown["spec"]["training"]["learning_rate"] == 0.01
    assert shown["priority"] == 3
    train()
    assert "24 succeeded" in actinium("show", "1").out
    listed = actinium("ls").out
    assert "demo" in listed
    assert "finished" in listed
    assert "100%" in listed

    compared = actinium("compare", "demo")
    assert compared.code == 0
    for title in ("Dead units", "Convergence", "Small batches", "20.0% [", "batch 32"):
        assert title in compared.out
    assert "20.0% [20.0, 20.0]" not in compared.out, "equal seeds are no certainty"
    assert max(len(line) for line in compared.out.splitlines() if "interval" not in line) <= 100
    assert json.loads(actinium("compare", "demo", "--json").out)["study_id"] == 1

    target = tmp_path / "out.csv"
    exported = actinium("export", "demo", str(target))
    assert exported.code == 0
    assert target.read_text().count("\n") == 25
    assert json.loads(actinium("export", "demo", str(tmp_path / "x"), "--format", "jsonl", "--json").out)["bytes"] > 0


def test_watch_prints_lines_and_exits_by_the_outcome(actinium: Actinium, study: str, train: Any) -> None:
    """Without a terminal there are plain lines; failed trials are exit 1."""

    def train_what_comes() -> None:
        while not train():
            pass

    hand = threading.Thread(target=train_what_comes)
    hand.start()
    watched = actinium("submit", study, "--watch", "--set", "factors.training.batch_size=[32]")
    hand.join()
    assert watched.code == 0
    assert "demo: 100% (12 succeeded, 12 converged)" in watched.err
    assert "demo finished: 12 trials succeeded (12 converged), 0 failed" in watched.out

    assert actinium("submit", study, "--set", "name=bad").code == 0
    for _ in range(3):  # a pack of one is tried twice
        train(fail="ValueError: no")
    failed = actinium("watch", "bad")
    assert failed.code == 1
    assert "trials failed; `actinium show 2` names them" in failed.err
    assert "failed: trial" in actinium("show", "bad").out
    assert "ValueError: no" in actinium("show", "bad").out
    assert "24 trials of bad are queued again" in actinium("retry", "bad").out
    assert "bad is paused: 24 trials wait for `actinium resume`" in actinium("pause", "bad").out
    assert json.loads(actinium("pause", "bad", "--json").out)["state"] == "paused"
    assert "bad" in actinium("ls", "--state", "paused").out
    assert "bad is running: 24 trials queued" in actinium("resume", "bad").out
    assert "24 trials cancelled" in actinium("cancel", "bad").out
    assert "nothing left to pause" in actinium("pause", "bad").err
    ended = json.loads(actinium("submit", study, "--set", "name=third", "--json").out)
    assert ended["trials"] == 24


def test_show_a_trial_and_what_happened_to_it(actinium: Actinium, study: str, train: Any) -> None:
    """Who did what, and when; only of the study that it belongs to."""
    assert actinium("submit", study, "--set", "seeds=1").code == 0
    assert actinium("submit", study, "--set", "name=other").code == 0
    train(packs=1, complete=False)
    assert actinium("pause", "demo").code == 0
    shown = actinium("show", "demo", "--trial", "1").out
    assert "trial 1 of study 1: relu·none·batch_size=2, seed 0" in shown
    assert "leased (attempt 1), lease by fake" in shown
    assert "queued (attempt 1), pause by ada" in shown
    events = json.loads(actinium("show", "demo", "--trial", "1", "--json").out)["events"]
    assert [event["cause"] for event in events] == ["lease", "pause"]
    assert "trial 1 is one of study 1, not of other" in actinium("show", "other", "--trial", "1").err


def test_extend(actinium: Actinium, study: str, train: Any) -> None:
    """By a count, by a list, by levels; what is left out is said."""
    assert actinium("submit", study, "--set", "factors.normalization=[none]").code == 0
    train()
    grown = actinium("extend", "demo", "--seeds", "3", "--set", "factors.normalization+=[layer, instance]")
    assert grown.code == 0
    assert "demo is running: 4 cells and 16 trials are new" in grown.out
    assert "left out: relu·instance" in grown.out
    listed = json.loads(actinium("extend", "demo", "--seeds", "7,9", "--json").out)
    assert (listed["added_trials"], listed["spec"]["seeds"]) == (16, [0, 1, 2, 7, 9])
    assert actinium("extend", "demo").code == 2
    assert actinium("extend", "demo", "--seeds", "some").code == 2
    assert "give factors.PATH+=LEVEL" in actinium("extend", "demo", "--set", "factors.activation=elu").err


def test_catalogue_and_tokens(actinium: Actinium) -> None:
    """Levels with parameters; a token's secret alone on standard output."""
    assert "negative_slope=0.01" in actinium("catalogue").out
    document = json.loads(actinium("catalogue", "--json").out)
    assert {"activations", "datasets"} <= set(document)
    assert [entry["name"] for entry in document["metrics"]] == list(MEASUREMENTS)
    assert "gradient_slope" in actinium("catalogue").out
    made = actinium("token", "create", "ci", "--role", "viewer")
    assert made.out.startswith("act_")
    assert len(made.out.split()) == 1
    row = next(item for item in json.loads(actinium("token", "ls", "--json").out) if item["name"] == "ci")
    assert actinium("token", "revoke", str(row["id"])).code == 0
    assert "viewer" in actinium("token", "ls").out
    for expires, says in (("30d", "T"), ("12h", "T"), ("2031-01-31", "2031-01-31T23:59:59Z")):
        made = actinium("token", "create", "ci", "--expires", expires, "--json")
        assert says in json.loads(made.out)["expires_at"]
    assert "2031-01-31" in actinium("token", "ls").out
    assert "3 more tokens are called 'ci'" in actinium("token", "create", "ci").err


FAILURES: list[tuple[list[str], int, str]] = [
    (["show", "nothing"], 1, "actinium: there is no study 'nothing'"),
    (["submit", "STUDY", "--set", "training.learning_rate=-1"], 1, "training.learning_rate: -1 is not accepted"),
    (["submit", "STUDY", "--set", "factors.activation=[]"], 1, "factors.activation: an empty factor"),
    (["submit", "STUDY", "--set", "name.x.y=1"], 1, "name.x.y"),
    (["submit", "STUDY", "--set", "training"], 2, "PATH=VALUE"),
    (["submit", "nofile.yaml"], 2, "there is no file"),
    (["submit"], 2, "Missing argument"),
    (["export", "1", "out.xlsx"], 2, "csv, parquet or jsonl"),
    (["export", "1", "out.csv"], 1, "there is no study"),
    (["token", "create", "x", "--role", "king"], 2, "king"),
    (["token", "revoke", "99999"], 1, "there is no token"),
    (["token", "create", "x", "--expires", "soon"], 2, "give 30d, 12h, or a date"),
    (["token", "create", "x", "--expires", "2001-01-31"], 1, "should be later than now"),
    (["nonsense"], 2, "nonsense"),
    (["ls", "--state", "done"], 1, "query.state"),
]


def test_failures_are_sentences(actinium: Actinium, study: str, subtests: pytest.Subtests) -> None:
    """Exit 1 for what failed, 2 for wrong usage; on standard error."""
    for arguments, code, words in FAILURES:
        with subtests.test(arguments=arguments):
            said = actinium(*[study if word == "STUDY" else word for word in arguments])
            assert said.code == code
            assert words in " ".join(said.err.split())
            assert said.out == ""


def test_a_stranger_and_a_stack_that_is_away(actinium: Actinium, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong token, no address, nobody there."""
    monkeypatch.setenv("ACTINIUM_TOKEN", "act_wrong")
    assert "not known" in actinium("ls").err
    monkeypatch.delenv("ACTINIUM_TOKEN")
    assert "set ACTINIUM_TOKEN" in actinium("ls").err
    monkeypatch.delenv("ACTINIUM_URL")
    said = actinium("ls")
    assert (said.code, "actinium up" in said.err) == (1, True)
