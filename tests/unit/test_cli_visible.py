"""What people wrote is shown at the terminal, and not obeyed by it."""

import json

import pytest

from actinium.terminal import output
from actinium.visible import visible

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\x7f"


def test_what_a_terminal_obeys_is_spelled_out() -> None:
    assert visible("\x1b[2J") == "\\u001b[2J"
    assert visible("tab\tand\nline, Ärger 💥 σ(z)") == "tab\tand\nline, Ärger 💥 σ(z)"
    assert all(letter.isprintable() or letter in "\n\t" for letter in visible(HOSTILE))


def test_nothing_that_is_printed_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Sentences, errors, tables, JSON, which says the same to a program."""
    output.say(HOSTILE)
    output.complain(HOSTILE)
    output.show_table([HOSTILE, "n"], [[HOSTILE, "1"]], title=HOSTILE, numbers=["n"])
    output.show_json({HOSTILE: HOSTILE})
    with output.progress_of(HOSTILE) as watch:
        states = {"queued": 1, "leased": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
        watch({"counts": {"states": states, "outcomes": {}}, "progress": 0.0})
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "owned" in text and not set("\x1b\x07\x9b\u202e\r\x7f") & set(text)
    document = printed.out[printed.out.index("{") :]
    assert json.loads(document) == {HOSTILE: HOSTILE}
