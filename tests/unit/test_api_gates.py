"""Gates: so many at once, so many of one caller, in order, and nobody waits for long."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from actinium.errors import TooMany, Unavailable
from services.api.access import ACCESS
from services.api.edge import Pace, TooSlow
from services.api.gates import BOUNDS, PASSAGES, THREADS, Bound, Gate, Work

PATIENT = Bound(at_once=3, each=2, wait=30.0)
HASTY = Bound(at_once=3, each=2, wait=0.01)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_every_route_has_a_bound_and_every_bound_is_that_of_some_route() -> None:
    assert PASSAGES.keys() == ACCESS.keys()
    used = {kind for passage in PASSAGES.values() if passage for kind in (passage.whole, passage.work) if kind}
    assert {*used, Work.REQUEST} == set(BOUNDS) == set(Work)
    assert all(1 <= bound.each <= bound.at_once for bound in BOUNDS.values())
    threads = (Work.LOOK, Work.LIST, Work.DESIGN, Work.REPORT, Work.TABLE, Work.CHECK, Work.OPERATE)
    assert sum(BOUNDS[kind].at_once for kind in threads) < THREADS, "some are left to look up tokens"


def test_a_full_gate_lets_in_in_order_who_fits() -> None:
    async def test() -> None:
        gate, order = Gate(Work.LOOK, PATIENT), list[str]()

        async def come(caller: str, name: str) -> None:
            await gate.enter(caller)
            order.append(name)

        for caller in ("a", "a", "b"):
            await gate.enter(caller)
        waiting = [asyncio.create_task(come("a", "a3")), asyncio.create_task(come("b", "b2"))]
        waiting.append(asyncio.create_task(come("c", "c1")))
        await asyncio.sleep(0)
        gate.leave("b")
        await asyncio.sleep(0)
        assert order == ["b2"], "a has its share, and came first"
        gate.leave("a")
        await asyncio.sleep(0)
        assert order == ["b2", "a3"]
        gate.leave("b")
        await asyncio.gather(*waiting)
        assert order == ["b2", "a3", "c1"]

    run(test())


def test_who_waits_too_long_is_told_whose_fault_it_is() -> None:
    async def test() -> None:
        gate = Gate(Work.REPORT, HASTY)
        await gate.enter("a")
        await gate.enter("a")
        with pytest.raises(TooMany, match="2 reports being computed at once are the most for one caller") as refusal:
            await gate.enter("a")
        assert refusal.value.retry_after == 1.0
        await gate.enter("b")
        with pytest.raises(Unavailable, match="3 reports being computed at once are the most that the service does"):
            await gate.enter("c")
        gate.leave("a")
        await gate.enter("c")

    run(test())


def test_who_gives_up_while_waiting_takes_no_place() -> None:
    """Also in the moment in which it is let in."""

    async def test() -> None:
        gate = Gate(Work.LOOK, Bound(at_once=1, each=1, wait=30.0))
        await gate.enter("a")
        early, late = asyncio.create_task(gate.enter("b")), asyncio.create_task(gate.enter("c"))
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.sleep(0)
        gate.leave("a")
        late.cancel()  # it has been let in, and does not know yet
        assert [type(found) for found in await asyncio.gather(early, late, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        async with asyncio.timeout(1.0):
            await gate.enter("d")

    run(test())


def test_a_client_that_does_not_take_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.edge.PATIENCE_SECONDS", 0.02)

    async def stuck(message: Any) -> None:
        await asyncio.sleep(30)

    async def quick(message: Any) -> None:
        await asyncio.sleep(0)

    async def test() -> None:
        pace = Pace()
        for _ in range(100):
            await pace.sent(quick, {"type": "http.response.body", "body": b"x" * 1000})
        with pytest.raises(TooSlow):
            await Pace().sent(stuck, {"type": "http.response.body", "body": b"x"})

    run(test())
