"""The dispatcher: leases packs for idle slots, and writes what they measure into the database."""

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from actinium.errors import first_line
from actinium.job import Attempt, Lease
from db import datasets, dispatchers, queue
from db.engine import DATABASE_AWAY, disk_full, retry_deadlocks
from services.dispatcher.fleet import Fleet, SlotId
from services.dispatcher.ledger import Ledger
from services.dispatcher.pack import PackRun
from services.dispatcher.recorder import Recorder
from services.dispatcher.roster import Roster
from services.dispatcher.widths import fair_share
from services.loop import backoff

log = logging.getLogger(__name__)

SAVE_SECONDS = 0.4
"""Frames are written at least this often."""
LOOK_SECONDS = 0.3
"""How long to wait after the queue was found empty."""
BACKOFF_MOST_SECONDS = 10.0
"""The longest pause between two tries while the database is away."""
WAY_SECONDS = 1.0
"""How often a dispatcher without an idle slot looks for a waiting study of higher priority."""
PARTING_SECONDS = 0.2
"""How long a round of a shutdown listens to the packs."""
ROOM_SECONDS = 2.0
"""How often the disk is looked at."""
UNSAVED_BYTES_MOST = 256 * 2**20
"""With more unsaved frames than this in memory (the database is away or full) no news is read, and packs wait."""
COUNTED_LANES = 256
"""Queued jobs are counted up to this many a slot, to spread a small study over all slots."""

PlannedWidth = Callable[[Connection, queue.Lead, str, datetime], int]
"""How many lanes the pack of a lead should have on a device: called with connection, lead, device and time."""


class Dispatcher:
    """One round of the loop is `run_once`. Only the thread that calls it touches the fleet and the packs."""

    def __init__(
        self,
        *,
        engine: Engine,
        fleet: Fleet,
        ledger: Ledger,
        width: PlannedWidth,
        holder: str,
        lease_seconds: float,
        roster: Roster | None = None,
        room: Callable[[], str | None] = lambda: None,
        most_leased: int | None = None,
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        self._ledger = ledger
        self._roster = roster
        self._room = room
        self._recorder = Recorder(engine=engine, ledger=ledger)
        self._width = width
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._most_leased = most_leased
        self._running: dict[SlotId, PackRun] = {}
        self._ended: list[PackRun] = []
        self._saved_at: datetime | None = None
        self._look_at: datetime | None = None
        self._way_at: datetime | None = None
        self._quiet_until: datetime | None = None
        self._tries = 0
        self._halted: str | None = None
        """Why nothing is leased."""
        self._room_at: datetime | None = None

    def run_once(self, *, now: datetime, wait: float) -> None:
        """Save what packs have sent, lease packs for idle slots, then listen to the packs for up to `wait` seconds.

        Does not raise when the database is away: it tries again later, and packs go on meanwhile.
        """
        if self._roster is not None:
            turn, of = self._roster.turn()
            self._fleet.share(turn=turn, of=of)
        self._fleet.tend(now=now)
        self._stop_lost()
        if self._quiet_until is None or now >= self._quiet_until:
            try:
                self._save(now=now)
                self._look_for_room(now=now)
                if self._halted is None:
                    self._lease(now=now)
                    self._make_way(now=now)
            except DATABASE_AWAY as error:
                if disk_full(error):
                    self._halt("the database's disk is full: nothing is lost, and it goes on when there is room")
                self._tries += 1
                pause = backoff(self._tries, most=BACKOFF_MOST_SECONDS)
                self._quiet_until = now + timedelta(seconds=pause)
                log.warning("the database is away (%s); next try in %.1f s", first_line(error), pause)
            else:
                self._tries, self._quiet_until = 0, None
        self._hear(wait=wait)
        self._tell()

    def busy(self) -> bool:
        """Whether anything trains or waits to be saved."""
        return bool(self._running or self._ended)

    def usable(self) -> int:
        """How many slots train or could at once. One whose actor is not warm, or never will be, is none of them."""
        return len(self._running) + sum(slot not in self._running for slot in self._fleet.idle())

    def works(self) -> bool:
        """Whether this dispatcher has a slot that it can use, or others before it have all that there are."""
        others = self._roster is not None and self._roster.turn()[0] > 0
        return self.usable() > 0 or (others and not self._fleet.size())

    def shut_down(self, *, now: datetime, rounds: int = 0) -> None:
        """Stop the packs, save what they sent, and give the leases back without counting a failure.

        Packs are asked for a checkpoint and have `rounds` times PARTING_SECONDS to write it. Where the database is
        away, the leases are left to expire.
        """
        packs = list(self._running.values())
        try:
            for pack in packs if rounds else ():
                pack.stopping = True
                self._fleet.stop(pack.slot)
            for _ in range(rounds):
                if self._running:
                    self._hear(wait=PARTING_SECONDS)
        except Exception:  # the rim: whatever is wrong with the fleet by now, what it has brought is saved
            log.exception("packs were not stopped in order")
        try:
            self._save(now=now, all_packs=True)
            self._release([lease for pack in packs for lease in pack.leases], now=now)
            with self._engine.begin() as conn:
                dispatchers.leave(conn, self._holder)
        except DATABASE_AWAY as error:
            log.warning("the database is away (%s); leases are left to expire", first_line(error))
        self._running.clear()

    def _look_for_room(self, *, now: datetime) -> None:
        """Look at the disk, and halt or lease again accordingly. The database has just accepted a write, so it has
        room.
        """
        if self._room_at is None or now >= self._room_at:
            self._room_at = now + timedelta(seconds=ROOM_SECONDS)
            self._halt(self._room())

    def _halt(self, reason: str | None) -> None:
        """Lease nothing because of `reason`; None: lease again."""
        if (reason is None) != (self._halted is None):
            log.warning("nothing is leased: %s", reason) if reason else log.warning("there is room again")
        self._halted = reason

    def _tell(self) -> None:
        """Hand the roster what the next heartbeat tells the database of this dispatcher."""
        if self._roster is not None:
            self._roster.tell(
                slots=self.usable(),
                busy=len(self._running),
                avoided=self._fleet.avoided(),
                halted=self._halted,
                memory_bytes=self._fleet.memory(),
            )

    # ---- leasing ----------------------------------------------------------------------------------------------

    def _lease(self, *, now: datetime) -> None:
        idle = [slot for slot in self._fleet.idle() if slot not in self._running]
        if not idle or (self._look_at is not None and now < self._look_at):
            return
        slots = max(len(idle), self._fleet.size()) * (1 if self._roster is None else self._roster.turn()[1])
        with self._engine.begin() as conn:
            due = queue.backlog(conn, now=now, most=slots * COUNTED_LANES)
        share = fair_share(due, slots=slots, idle=len(idle))
        for slot in idle:
            device = self._fleet.device(slot)
            leases = self._lease_pack(device, share=share, now=now) if share else []
            if not leases:
                self._look_at = now + timedelta(seconds=LOOK_SECONDS)
                return
            self._ledger.add(leases)
            self._running[slot] = PackRun(slot=slot, device=device, leases=leases, is_lost=self._ledger.is_lost)
            checkpoint = leases[0].checkpoint
            self._fleet.start(slot, [lease.config for lease in leases], checkpoint=checkpoint)
            begun = "trains" if checkpoint is None else "goes on with"
            log.info("slot %d %s %d lanes of %s", slot, begun, len(leases), leases[0].pack_key)

    def _make_way(self, *, now: datetime) -> None:
        """Where every slot is busy and a study of higher priority waits: stop the pack of lowest priority, one at a
        time.
        """
        full = len(self._running) >= self._fleet.size() > 0
        stopping = any(pack.stopping for pack in self._running.values())
        if not full or stopping or (self._way_at is not None and now < self._way_at):
            return
        self._way_at = now + timedelta(seconds=WAY_SECONDS)
        with self._engine.begin() as conn:
            waiting = queue.next_priority(conn, now=now, most_leased=self._most_leased)
        slot, least = min(self._running.items(), key=lambda item: item[1].leases[0].priority)
        if waiting is not None and least.leases[0].priority < waiting:
            log.info("slot %d makes way for a study of priority %d", slot, waiting)
            least.stopping = True
            self._fleet.stop(slot)

    @retry_deadlocks
    def _lease_pack(self, device: str, *, share: int, now: datetime) -> list[Lease]:
        """A pack no wider than measured to be good, and no wider than a slot's share of what is due; or one that goes
        on from a checkpoint, as it was.

        The fleet has its dataset when this returns; where the database goes away meanwhile, nothing is leased.
        """
        with self._engine.begin() as conn:

            def width(lead: queue.Lead) -> int:
                wanted = self._width(conn, lead, device, now)
                return wanted if lead.resumes else min(share, wanted)

            leases = queue.lease(
                conn,
                now=now,
                holder=self._holder,
                lease_seconds=self._lease_seconds,
                most_leased=self._most_leased,
                width=width,
            )
            stored = leases[0].config.task.stored if leases else None
            if stored is not None and not self._fleet.holds(stored.sha256):
                content = datasets.content(conn, stored.sha256)
                if content is not None:  # else the pack says that it is missing
                    self._fleet.hold(stored.sha256, content)
            return leases

    @retry_deadlocks
    def _release(self, attempts: Sequence[Attempt], *, now: datetime) -> None:
        if attempts:
            with self._engine.begin() as conn:
                released = queue.release(conn, now=now, attempts=attempts)
            self._ledger.remove(attempts)
            if released:
                log.info("gave back %d leases", len(released))

    # ---- packs ------------------------------------------------------------------------------------------------

    def _stop_lost(self) -> None:
        """Stop packs none of whose trials is still leased to this dispatcher (cancelled, paused, or rescued)."""
        for slot, pack in self._running.items():
            if not pack.stopping and not pack.open_attempts():
                pack.stopping = True
                self._fleet.stop(slot)

    def _hear(self, *, wait: float) -> None:
        if sum(pack.unsaved_bytes for pack in (*self._running.values(), *self._ended)) > UNSAVED_BYTES_MOST:
            time.sleep(wait)
            return
        for news in self._fleet.news(seconds=wait):
            pack = self._running.get(news.slot)
            if pack is None:
                continue
            pack.take(news.item)
            if pack.ended():
                self._ended.append(self._running.pop(news.slot))

    def _save(self, *, now: datetime, all_packs: bool = False) -> None:
        """Save ended packs and summaries at once, frames every SAVE_SECONDS."""
        while self._ended:
            pack = self._ended[0]
            self._save_pack(pack, now=now)
            if pack.stopping:
                self._release(pack.leases, now=now)  # what is still ours of it
            self._ended.pop(0)
        due = all_packs or self._saved_at is None or (now - self._saved_at).total_seconds() >= SAVE_SECONDS
        for slot, pack in list(self._running.items()):
            if (due or pack.urgent()) and not self._save_pack(pack, now=now):
                del self._running[slot]
                self._fleet.stop(slot)
        if due:
            self._saved_at = now

    def _save_pack(self, pack: PackRun, *, now: datetime) -> bool:
        """Save a pack's news. False: the database refuses it, and the pack's trials have failed with the reason."""
        try:
            self._recorder.save(pack, now=now)
        except DATABASE_AWAY:
            raise
        except Exception:  # what one pack brought must not stop the others
            log.exception("slot %d: what its pack brought cannot be saved", pack.slot)
            self._recorder.give_up(pack, error=traceback.format_exc(), now=now)
            return False
        return True
