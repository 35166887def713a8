"""`make fuzz`: every operation by everybody, bent studies and bodies, lives along links. Prints last a line of figures;
exit 1 where something was wrong.
"""

import argparse
import logging
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

from fuzz.bodies import fuzz_bodies
from fuzz.lives import fuzz_lives
from fuzz.requests_to_all import fuzz_operations
from fuzz.service import furnished
from fuzz.specifications import fuzz_documents
from fuzz.tally import Tally

from db.engine import embedded, make_engine, migrate

CASES = {fuzz_operations: 280, fuzz_bodies: 600, fuzz_lives: 200, fuzz_documents: 7000}
"""Cases of each kind at scale 1; more than 20,000 in all."""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--scale", type=float, default=1.0, help="how many times the usual number of cases")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="the same seed gives the same cases")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)  # every refusal would be a line
    warnings.simplefilter("ignore")
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as home:
        server = embedded(Path(home), durable=False)
        try:
            engine = make_engine(server.url, pool_size=10)
            migrate(engine)
            with furnished(engine, server.url) as service:
                for fuzz, cases in CASES.items():
                    began, before = time.monotonic(), tally.cases
                    fuzz(service, tally, cases=max(1, round(cases * given.scale)), number=given.seed)
                    took = time.monotonic() - began
                    print(f"{fuzz.__name__}: {tally.cases - before} cases in {took:.0f} s", flush=True)
            engine.dispose()
        finally:
            server.stop()
    if not tally.clean():
        print(tally.report())
    print(f"seed {given.seed}; answers by status {dict(sorted(tally.statuses.items()))}; faults {tally.faults}")
    print(f"fuzz cases={tally.cases} server_errors={tally.server_errors} wrong_status={tally.wrong_status}")
    return 0 if tally.clean() else 1


if __name__ == "__main__":
    sys.exit(main())
