"""The cache of reports, and how large documents are built without the garbage collector in the way."""

import gc
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from actinium.job import StudyId

Item = TypeVar("Item")


class StudyCache(Generic[Item]):
    """The items asked for last, by study and a key that names its revision, up to a total weight of `most`.

    Two requests for the same item make it once: the second waits. The newest item is kept however heavy it is.
    """

    def __init__(self, *, most: int, weight: Callable[[Item], int]) -> None:
        self._most = most
        self._weight = weight
        self._known: OrderedDict[tuple[StudyId, Hashable], Item] = OrderedDict()
        self._lock = threading.Lock()
        self._working: defaultdict[StudyId, threading.Lock] = defaultdict(threading.Lock)

    def get(self, study: StudyId, key: Hashable, make: Callable[[], Item]) -> Item:
        """The item of this key; from `make` if it is not in the cache."""
        with self._lock:
            working = self._working[study]
        with working:
            with self._lock:
                if (study, key) in self._known:
                    self._known.move_to_end((study, key))
                    return self._known[study, key]
            made = make()
            with self._lock:
                self._known[study, key] = made
                total = sum(map(self._weight, self._known.values()))
                while total > self._most and len(self._known) > 1:
                    _, oldest = self._known.popitem(last=False)
                    total -= self._weight(oldest)
            return made


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Python's garbage collector is off meanwhile. Building a large document allocates enough to start it many times,
    and each run looks through everything that the process holds, to find no cycle.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
