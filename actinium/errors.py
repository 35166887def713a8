"""The error tree. Every message names the value at fault and its mend."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class FieldError(NamedTuple):
    """One fault in a document: where it is (a dotted path; empty for the document as a whole) and what would have been
    accepted.
    """

    path: str
    message: str

    def line(self) -> str:
        """For people: the path and the message, or the message alone."""
        return f"{self.path}: {self.message}" if self.path else self.message


class ActiniumError(Exception):
    """Base of everything that this project raises on purpose."""


MOST_TOLD = 100


class InvalidInput(ActiniumError):
    """The content of a request or a file is wrong; `errors` lists every fault found, up to MOST_TOLD: a small document
    can have a hundred thousand.
    """

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        more = len(errors) - MOST_TOLD
        self.errors = (*errors[:MOST_TOLD], *([FieldError("", f"and {more} faults more")] if more > 0 else []))

    def __str__(self) -> str:
        lines = [super().__str__(), *(f"  {error.line()}" for error in self.errors)]
        return "\n".join(lines)


class NotFound(ActiniumError):
    """The thing named does not exist."""


class Conflict(ActiniumError):
    """The name is taken, or the state does not allow the transition; `ids` are the studies in the way."""

    def __init__(self, message: str, ids: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.ids = tuple(ids)


class Unauthenticated(ActiniumError):
    """No token, or one that is not known."""


class Forbidden(ActiniumError):
    """The token's role is too weak, or the study is somebody else's."""


class TooLarge(ActiniumError):
    """The body exceeds the limit."""


class TooMany(ActiniumError):
    """Too many requests, or too much in the queue, for now; `retry_after` seconds from now there may be room."""

    def __init__(self, message: str, retry_after: float = 30.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CheckpointUnusable(ActiniumError):
    """A checkpoint is torn, foreign, or of another version; the trials begin again."""


class ProbeFault(ActiniumError):
    """A family of probes gives other series than the table of measurements has of it: a fault of its code."""


class Unavailable(ActiniumError):
    """A service that is needed does not answer."""


class DatasetMissing(ActiniumError):
    """The files of `dataset` are not under ACTINIUM_DATA; the message says how to bring them."""

    def __init__(self, message: str, *, dataset: str) -> None:
        super().__init__(message)
        self.dataset = dataset


class StackError(ActiniumError):
    """The stack cannot be started, found or stopped."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to 200 characters: a driver's errors go on with the statement."""
    return str(error).strip().split("\n", 1)[0][:200]


STATUS: Mapping[type[ActiniumError], int] = {
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    Unauthenticated: 401,
    Forbidden: 403,
    TooLarge: 413,
    TooMany: 429,
    Unavailable: 503,
}
"""The HTTP status that each kind of error is answered with, and is read back from."""
