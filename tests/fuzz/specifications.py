"""What holds of every document, however bent: it is a study, or it is refused with path, value and mend; soon."""

import json
import time
import traceback
from collections.abc import Mapping
from typing import Any

from fuzz.documents import changed
from fuzz.requests_to_all import profile
from fuzz.service import Service
from fuzz.tally import Tally
from hypothesis import given, seed

from actinium.errors import InvalidInput
from actinium.study import Design, StudySpec, expand, parse_study

MOST_TRIALS = 300
MOST_SECONDS = 1.0
LONGEST_MESSAGE = 2000


def judged(document: Any, *, timed: bool = False) -> Design | None:
    """The design of a document that is accepted; None of one that is refused as it should be. AssertionError else."""
    began = time.thread_time()
    try:
        spec = parse_study(document)
        design = expand(spec, max_trials=MOST_TRIALS)
    except InvalidInput as error:
        check_refusal(error, document)
        return None
    finally:
        took = time.thread_time() - began
        assert not timed or took < MOST_SECONDS, f"{took:.2f} s"
    check_round_trip(spec, design)
    return design


def check_refusal(error: InvalidInput, document: Any) -> None:
    """Every fault says where and what; the message is short enough to be read, and the place is one of the document."""
    assert error.errors, "no fault is told"
    for fault in error.errors:
        assert fault.message and len(fault.message) < LONGEST_MESSAGE
        assert len(fault.path) <= LONGEST_MESSAGE
        assert located(fault.path, document), f"{fault.path!r} is no place of the document: {fault.message}"


def located(path: str, document: Any) -> bool:
    """Whether a path leads to a place of the document, or to one that is missing at such a place."""
    root = path.partition(".")[0]
    if path == "" or root in StudySpec.model_fields:
        return True
    return isinstance(document, Mapping) and any(str(key)[:20] == path[: len(str(key)[:20])] for key in document)


def check_round_trip(spec: StudySpec, design: Design) -> None:
    """What is stored is read back as it was, and means the same trials."""
    stored = json.loads(json.dumps(spec.model_dump(mode="json"), allow_nan=False))
    again = parse_study(stored)
    assert again == spec
    assert again.model_dump(mode="json") == stored
    digests = [cell.config.digest() for cell in design.cells]
    assert [cell.config.digest() for cell in expand(again, max_trials=MOST_TRIALS).cells] == digests
    for cell in design.cells[:3]:
        config = type(cell.config).model_validate_json(cell.config.model_dump_json())
        assert config.digest() == cell.config.digest()
        assert config.pack_key() == cell.config.pack_key()
        assert config.digest_by_seed()(config.seed) == config.digest()


def fuzz_documents(service: Service, tally: Tally, *, cases: int, number: int) -> None:
    """`cases` documents, judged without a service; more than one second of one core for one is a fault too."""

    @seed(number)
    @profile(cases)
    @given(document=changed())
    def one(document: Any) -> None:
        tally.cases += 1
        try:
            judged(document, timed=True)
        except Exception as error:  # whatever is raised beside InvalidInput is what is looked for
            tally.faults += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            tally.tell(f"{type(error).__name__} at {where.filename}:{where.lineno}", f"{error}\n{document!r}")

    one()
