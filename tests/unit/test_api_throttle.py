"""How often may be asked: by the clock that is given, each sender for itself, in bounded memory."""

from datetime import UTC, datetime, timedelta

import pytest

from actinium.errors import TooMany
from services.api.throttle import MOST_KEYS, Allowances, Throttle, seconds, sender
from services.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def later(number: float) -> datetime:
    """So many seconds after the beginning."""
    return NOW + timedelta(seconds=number)


def test_what_is_spent_comes_back_evenly() -> None:
    """Six a minute: six at once, then one every ten seconds; waiting makes it no more than six."""
    allowed = Allowances(per_minute=6)
    assert [allowed.missing("a", NOW, spend=True) for _ in range(7)] == [0.0] * 6 + [10.0]
    assert allowed.missing("b", NOW, spend=True) == 0.0
    assert allowed.missing("a", later(4), spend=True) == pytest.approx(6.0)
    assert [allowed.missing("a", later(10), spend=True) for _ in range(2)] == [0.0, pytest.approx(10.0)]
    assert [allowed.missing("a", later(9000), spend=True) for _ in range(7)].count(0.0) == 6


def test_looking_takes_nothing_and_a_clock_that_is_set_back_gives_nothing() -> None:
    allowed = Allowances(per_minute=1)
    assert [allowed.missing("a", NOW, spend=False) for _ in range(3)] == [0.0] * 3
    assert allowed.missing("a", NOW, spend=True) == 0.0
    assert allowed.missing("a", later(-3600), spend=False) == pytest.approx(60.0)
    assert allowed.missing("a", later(-3540), spend=False) == 0.0


def test_zero_is_without_limit() -> None:
    allowed = Allowances(per_minute=0)
    assert {allowed.missing("a", NOW, spend=True) for _ in range(1000)} == {0.0}


def test_memory_is_bounded() -> None:
    """Who was seen longest ago is forgotten, and begins anew."""
    allowed = Allowances(per_minute=1)
    for number in range(MOST_KEYS + 1):
        assert allowed.missing(number, NOW, spend=True) == 0.0
    assert allowed.missing(1, NOW, spend=True) > 0.0
    assert allowed.missing(0, NOW, spend=True) == 0.0


def test_wrong_tokens_stop_their_sender_and_no_right_token() -> None:
    throttle = Throttle(Settings(failed_attempts_per_minute=2))
    throttle.opened(7, "right", NOW)
    for guess in ("one", "two"):
        throttle.check("10.0.0.1", guess, NOW)
        throttle.failed("10.0.0.1", guess, NOW)
    for guess in ("three", "right but never seen here"):
        with pytest.raises(TooMany) as refused:
            throttle.check("10.0.0.1", guess, NOW)
        assert seconds(refused.value) == "30"
    throttle.check("10.0.0.2", "three", NOW)
    throttle.check("10.0.0.1", "right", NOW)
    throttle.check("10.0.0.1", "three", later(30))
    throttle.failed("10.0.0.1", "right", later(30))  # revoked meanwhile: it is a guess like others from now on
    with pytest.raises(TooMany):
        throttle.check("10.0.0.1", "right", later(30))


def test_requests_are_counted_by_the_token() -> None:
    throttle = Throttle(Settings(requests_per_minute=2))
    for _ in range(2):
        throttle.opened(7, "a", NOW)
    throttle.opened(8, "b", NOW)
    with pytest.raises(TooMany, match="ACTINIUM_REQUESTS_PER_MINUTE"):
        throttle.opened(7, "a", NOW)
    throttle.opened(7, "a", later(30))


def test_senders() -> None:
    """An IPv6 network is one, a mapped IPv4 address the address, and what is no address is one."""
    assert sender("10.0.0.1") == sender("::ffff:10.0.0.1") != sender("10.0.0.2")
    assert sender("2001:db8:0:1::5") == sender("2001:db8:0:1:ffff::") != sender("2001:db8:0:2::5")
    assert sender(None) == sender("testclient") == ""
