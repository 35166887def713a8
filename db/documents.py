"""JSON on its way into PostgreSQL, which refuses what Python lets pass: NaN, null characters, lone surrogates."""

import json
import re
from typing import Any

from actinium.errors import FieldError, InvalidInput

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def dumps(value: Any) -> str:
    """Strict JSON text; ValueError for NaN and infinities, InvalidInput for text that PostgreSQL cannot hold."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if not storable(written) or "\\u0000" in written:
        check(value)
    return written


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text: UTF-8 without null characters."""
    return UNSTORABLE.search(text) is None


def check(value: Any, path: str = "") -> None:
    """InvalidInput with the path of the first text in a document that PostgreSQL cannot hold."""
    if isinstance(value, str):
        if not storable(value):
            fault = FieldError(
                path, "holds a null character or half a surrogate pair, which cannot be stored; remove it"
            )
            raise InvalidInput("a text cannot be stored", [fault])
    elif isinstance(value, dict):
        for key, item in value.items():
            check(key, f"{path}.{key}" if path else str(key))
            check(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            check(item, f"{path}.{number}" if path else str(number))


def cleaned(text: str, *, limit: int) -> str:
    """A text of the machine's own making, such as a traceback, made storable: its last `limit` characters."""
    kept = text if len(text) <= limit else f"[{len(text) - limit} characters cut]\n{text[-limit:]}"
    return UNSTORABLE.sub(REPLACEMENT, kept)
