"""`python -m services.dispatcher`: queue -> Ray -> database, until SIGTERM.

Exit 0 after a stop in order; 1 when Ray was lost, so that whoever supervises starts it anew.
"""

import logging
import os
import secrets
import socket
import sys
import threading

from actinium.errors import ActiniumError, StackError, Unavailable, first_line
from db.engine import DATABASE_AWAY
from services.disk_space import disk_shortage
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.fleet import Fleet, FleetLost
from services.dispatcher.heart import Heart, beat_seconds
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster
from services.dispatcher.sweeper import SWEEP_SECONDS, Sweeper
from services.dispatcher.widths import planned_width
from services.loop import Pulse, backoff, open_database, repeat, set_up_logging, stop_on_signals, utc_now
from services.settings import Settings
from workers.checkpoints.store import CheckpointStore

log = logging.getLogger(__name__)

PARTING_ROUNDS = 25
"""How many rounds of a shutdown packs have to end with a checkpoint."""
WAIT_SECONDS = 0.2
"""How long a round listens to the packs."""


def main() -> int:
    """Run until told to stop; the exit code."""
    set_up_logging()
    stop = stop_on_signals()
    settings = Settings()
    try:
        return serve(settings, stop=stop)
    except Unavailable as error:
        if stop.is_set():
            return 0
        log.error("%s", error)
    except ActiniumError as error:
        log.error("%s", error)
    return 1


def serve(settings: Settings, *, stop: threading.Event) -> int:
    """Connect to everything, dispatch until `stop`, and leave in order."""
    pulse = Pulse()
    pulse.clear()
    engine = open_database(settings, stop=stop)
    fleet = hire(settings, stop=stop)
    ledger = Ledger()
    holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
    roster = Roster(holder=holder, started_at=utc_now())
    heart = Heart(engine=engine, ledger=ledger, roster=roster, lease_seconds=settings.lease_seconds)
    dispatcher = Dispatcher(
        engine=engine,
        fleet=fleet,
        ledger=ledger,
        width=planned_width,
        holder=holder,
        lease_seconds=settings.lease_seconds,
        roster=roster,
        room=lambda: disk_shortage(settings.home, least=settings.min_free_bytes),
        most_leased=settings.owner_running_trials,
    )
    beats = threading.Thread(
        target=repeat,
        args=(lambda now: heart.run_once(now=now),),
        kwargs={"seconds": beat_seconds(settings.lease_seconds), "stop": stop, "name": "heartbeat"},
        daemon=True,
    )
    try:
        heart.run_once(now=utc_now())  # who else lives, before any slot is asked for
    except DATABASE_AWAY as error:
        log.warning("the database is away: %s", first_line(error))
    sweeper = Sweeper(engine=engine, store=CheckpointStore(settings.checkpoint_address()))
    sweeps = threading.Thread(
        target=repeat,
        args=(lambda now: sweeper.run_once(now=now),),
        kwargs={"seconds": SWEEP_SECONDS, "stop": stop, "name": "sweep"},
        daemon=True,
    )
    beats.start()
    sweeps.start()
    code = 1
    try:
        code = dispatch(dispatcher, stop=stop, pulse=pulse)
        return code
    finally:
        stop.set()
        beats.join(timeout=10.0)
        dispatcher.shut_down(now=utc_now(), rounds=0 if code else PARTING_ROUNDS)
        fleet.close()
        engine.dispose()


def dispatch(dispatcher: Dispatcher, *, stop: threading.Event, pulse: Pulse) -> int:
    """Rounds until `stop`; 1 when the fleet was lost. The pulse beats with each round after which this dispatcher can
    work or has nothing to work with because others have all the slots.
    """
    failures = 0
    while not stop.is_set():
        try:
            dispatcher.run_once(now=utc_now(), wait=WAIT_SECONDS)
            failures = 0
            if dispatcher.works():
                pulse.beat()
        except FleetLost as error:
            log.error("%s", error)
            return 1
        except Exception:  # the rim of the loop
            failures += 1
            log.exception("a round failed")
            stop.wait(backoff(failures))
    return 0


def hire(settings: Settings, *, stop: threading.Event) -> Fleet:
    """A fleet on the settings' Ray cluster, once its head answers."""
    from services.dispatcher import ray_connection  # ray takes a second to import: the database is waited for first

    address = settings.ray_address
    if address is None:
        raise StackError("ACTINIUM_RAY_ADDRESS is not set; `actinium up` sets it for the services that it starts")
    failures = 0
    while not stop.is_set():
        if ray_connection.answers(address):
            try:
                fleet = ray_connection.connect(
                    address,
                    data_root=str(settings.data_root()),
                    checkpoints=settings.checkpoint_address(),
                    checkpoint_seconds=settings.checkpoint_seconds,
                    silence_seconds=settings.pack_silence_seconds,
                )
            except FleetLost as error:  # its head listens before the rest of it is there
                log.warning("%s", error)
            else:
                stop_on_signals(stop)  # ray.init has put a handler of its own in their place
                return fleet
        failures += 1
        log.info("waiting for Ray at %s", address)
        stop.wait(backoff(failures, most=2.0))
    raise Unavailable("stopped while waiting for Ray")


if __name__ == "__main__":
    sys.exit(main())
