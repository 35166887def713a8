"""Text of other people's on its way to a terminal: what a terminal would obey, or draw elsewhere, is spelled out."""

import re

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but line feed and tab, in both of their ranges, and what turns the direction of writing."""


def visible(text: str) -> str:
    r"""The text with such characters as JSON's escapes: `\u001b[2J` in place of a cleared screen. JSON means the same
    as before.
    """
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
