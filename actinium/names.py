"""Names as people write them: `BatchNorm2d`, `nn.SiLU()` and `CIFAR-10` mean `batchnorm2d`, `silu` and `cifar10`.

What counts of a name is its `key`: the letters and digits, in lower case, of its last dotted part. No two names of one
table have the same key; a test sees to it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 80
"""Characters of a word that is compared with known ones."""

MOST_NEAR = 2
"""Names in a suggestion. Where more are as near as the nearest, none is suggested: it would be a guess."""

SHORTEST_PART = 4
"""Letters that a part of a name must have before it stands for the whole: `slope` for `negative_slope`."""


@lru_cache(maxsize=8192)
def key(word: str) -> str:
    """What counts of a name; the empty key matches nothing."""
    if len(word) > LONGEST:
        return ""
    return re.sub(r"[^0-9a-z]", "", word.strip().removesuffix("()").rpartition(".")[2].lower())


def matching(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word means: itself, or the one with its key."""
    names = list(known)
    if word in names:
        return word
    wanted = key(word)
    return next((name for name in names if wanted and key(name) == wanted), None)


def canonical_word(word: object, known: Sequence[str]) -> object:
    """For validators: the known name that a word means, or what was given, to be refused by the field's own type."""
    return (matching(word, known) or word) if isinstance(word, str) else word


def did_you_mean(word: str, known: Sequence[str], *, parts: bool = True, aliases: Mapping[str, str] = {}) -> str:
    """A sentence part that names the nearest known words, or all of them where none is near enough to be meant.

    Near is: a few letters missing, doubled, changed or in the wrong order, one for each four, and the same digits;
    `relu6`, `cifar100` and `resnet18` are no spellings of something else. With `parts`, for fields, a part of a name
    stands for it where no other has it. `aliases` are further words, each with the known one that it stands for.
    """
    near = _near(word, [*known, *aliases], aliases) or (_with_the_part(word, known) if parts else [])
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def _near(word: str, candidates: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """The nearest words, those of one name once; none where they are more than MOST_NEAR."""
    wanted = _letters(word)
    most = min(3, len(wanted) // 4)
    best: dict[str, tuple[int, str]] = {}
    for candidate in candidates:
        compared = _letters(candidate)
        if abs(len(compared) - len(wanted)) > most or _digits(compared) != _digits(wanted):
            continue
        found = distance(wanted, compared)
        name = aliases.get(candidate, candidate)
        if found <= most and found < best.get(name, (most + 1, ""))[0]:
            best[name] = (found, candidate)
    least = min((found for found, _ in best.values()), default=0)
    nearest = [candidate for found, candidate in best.values() if found == least]
    return nearest if len(nearest) <= MOST_NEAR else []


def _with_the_part(word: str, known: Sequence[str]) -> list[str]:
    """The known names that have all parts of the word, or whose parts the word has; none where they are many."""
    wanted = _parts(word)
    found = [name for name in known if wanted and (wanted <= (own := _parts(name)) or (own and own <= wanted))]
    return found if len(found) <= MOST_NEAR else []


def _parts(word: str) -> set[str]:
    return {part for part in re.split(r"[^0-9a-z]+", word[:LONGEST].lower()) if len(part) >= SHORTEST_PART}


def _letters(word: str) -> str:
    """A word as it is compared: lower case, no hyphens, underscores or spaces; dots part a path's names."""
    return re.sub(r"[-_\s]", "", word[: 4 * LONGEST].lower())


def _digits(word: str) -> str:
    return "".join(letter for letter in word if letter.isdigit())


def distance(a: str, b: str) -> int:
    """Letters to insert, delete, change, or swap with their neighbour, to make one word of the other."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


@dataclass(frozen=True, kw_only=True)
class NameRule:
    """What a name that people give may hold: the pattern that checks it, the words that say it, an example."""

    pattern: str
    words: str
    example: str
    lower: bool = False

    def refusal(self, word: str) -> str:
        """What is accepted, and the nearest name that is."""
        plain = unicodedata.normalize("NFKD", word[: 2 * LONGEST]).encode("ascii", "ignore").decode()
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain.lower() if self.lower else plain)
        plain = plain.lstrip("._-").rstrip("-")[:LONGEST]
        return f"give {self.words}, such as {plain or self.example}"


DATASET_NAME = NameRule(
    pattern=r"^[a-z0-9][a-z0-9._-]*$",
    words="small letters (a to z), digits, '.', '_' and '-', a letter or digit first",
    example="my-data",
    lower=True,
)
STUDY_NAME = NameRule(
    pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$",
    words="letters (A to Z), digits, spaces, '.', '_' and '-', a letter or digit first",
    example="my-study",
)
PERSON_NAME = NameRule(
    pattern=r"^[^\x00-\x1f\x7f]+$", words="one line of text without control characters", example="ada"
)
NAME_RULES: Mapping[str, NameRule] = {rule.pattern: rule for rule in (DATASET_NAME, STUDY_NAME, PERSON_NAME)}


def pattern_refusal(pattern: object, word: object) -> str | None:
    """What a field of this pattern accepts, in words; None for a pattern that has none."""
    rule = NAME_RULES.get(str(pattern))
    return rule.refusal(word) if rule is not None and isinstance(word, str) else None
