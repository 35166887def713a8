"""What may be written to PostgreSQL as JSON or text."""

import json
import math

import pytest

from actinium.errors import InvalidInput
from db.documents import REPLACEMENT, check, cleaned, dumps


def test_documents_keep_their_key_order_and_their_letters() -> None:
    document = {"b": 1, "a": ["é", "\\u0000 spelled out"]}
    assert dumps(document) == '{"b":1,"a":["é","\\\\u0000 spelled out"]}'
    assert json.loads(dumps(document)) == document


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_json_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({"a": [value]})


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "\udfff!"])
def test_text_that_cannot_be_stored_is_named_by_its_path(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        dumps({"tags": [{"x": "fine"}, {"x": text}]})
    assert [error.path for error in raised.value.errors] == ["tags.1.x"]
    with pytest.raises(InvalidInput):
        check({text: 1})


def test_a_traceback_keeps_its_end() -> None:
    assert cleaned("boom", limit=4) == "boom"
    assert cleaned("aaaa\0\ud800", limit=3) == f"[3 characters cut]\na{REPLACEMENT}{REPLACEMENT}"
