"""What the API keeps, and the collector of cycles at rest."""

import gc
import threading

import pytest

from actinium.job import StudyId
from services.api.report_cache import StudyCache, collector_at_rest

ONE, TWO, THREE = StudyId(1), StudyId(2), StudyId(3)


def never() -> str:
    """What is known is not made again."""
    raise AssertionError("made again")


def test_what_was_asked_for_last_stays_and_the_weight_is_bounded() -> None:
    kept: StudyCache[str] = StudyCache(most=6, weight=len)
    assert kept.get(ONE, 0, lambda: "abc") == "abc"
    assert kept.get(TWO, 0, lambda: "def") == "def"
    assert kept.get(ONE, 0, never) == "abc"
    assert kept.get(THREE, 0, lambda: "g") == "g", "7 of 6: the one asked for longest ago goes"
    assert kept.get(ONE, 0, never) == "abc"
    assert kept.get(TWO, 0, lambda: "anew") == "anew"


def test_a_state_of_its_own_is_another_thing_and_a_heavy_one_is_kept_alone() -> None:
    kept: StudyCache[str] = StudyCache(most=2, weight=len)
    assert kept.get(ONE, "revision 1", lambda: "a") == "a"
    assert kept.get(ONE, "revision 2", lambda: "very heavy") == "very heavy"
    assert kept.get(ONE, "revision 2", never) == "very heavy"
    assert kept.get(ONE, "revision 1", lambda: "b") == "b"


def test_two_who_ask_at_once_make_it_once() -> None:
    kept: StudyCache[str] = StudyCache(most=10, weight=len)
    begun, go = threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go.wait(30)
        return "made"

    first = threading.Thread(target=kept.get, args=(ONE, 0, make))
    first.start()
    assert begun.wait(30)
    second = threading.Thread(target=kept.get, args=(ONE, 0, never))
    second.start()
    assert kept.get(TWO, 0, lambda: "others do not wait") == "others do not wait"
    go.set()
    first.join(30)
    second.join(30)
    assert kept.get(ONE, 0, never) == "made"


def test_what_failed_is_tried_again() -> None:
    kept: StudyCache[str] = StudyCache(most=10, weight=len)
    with pytest.raises(AssertionError):
        kept.get(ONE, 0, never)
    assert kept.get(ONE, 0, lambda: "made") == "made"


def test_the_collector_rests_and_comes_back_as_it_was() -> None:
    assert gc.isenabled()
    with collector_at_rest():
        assert not gc.isenabled()
        with collector_at_rest():
            pass
        assert not gc.isenabled(), "who found it at rest leaves it so"
    assert gc.isenabled()
    with pytest.raises(KeyError), collector_at_rest():
        raise KeyError
    assert gc.isenabled()
