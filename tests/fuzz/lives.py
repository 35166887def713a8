"""Studies' lives along the links of the OpenAPI document: what one operation made, others take."""

from typing import Any

from fuzz.requests_to_all import TIMEOUT, judge, loaded, profile
from fuzz.service import Service
from fuzz.tally import Tally
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case, Response

STEPS = 12


def fuzz_lives(service: Service, tally: Tally, *, cases: int, number: int) -> None:
    """`cases` chains of at most STEPS requests by an admin."""
    machine: Any = loaded(service).as_state_machine()

    class Life(machine):  # type: ignore[misc]
        """A chain whose every answer is judged."""

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": service.url, "headers": service.headers["admin"], "timeout": TIMEOUT}

        def validate_response(self, response: Response, case: Case, *args: Any, **given: Any) -> None:
            known = all("/" not in str(word) and str(word).strip(".") for word in case.path_parameters.values())
            judge(tally, case, response, who="admin", known=known)

    chosen = settings(profile(cases), stateful_step_count=STEPS)
    run_state_machine_as_test(seed(number)(Life), settings=chosen)
