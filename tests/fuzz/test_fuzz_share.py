"""A share of `make fuzz`, always the same cases: whatever is sent, the service answers, and answers rightly."""

from collections.abc import Iterator

import pytest
from fuzz.bodies import fuzz_bodies
from fuzz.lives import fuzz_lives
from fuzz.requests_to_all import fuzz_operations
from fuzz.service import Service, furnished
from fuzz.specifications import fuzz_documents
from fuzz.tally import Tally
from sqlalchemy import Engine

SEED = 1


@pytest.fixture
def service(engine: Engine, database_url: str) -> Iterator[Service]:
    """The API with something in it."""
    with furnished(engine, database_url) as given:
        yield given


def test_every_operation_answers_everybody_as_documented(service: Service) -> None:
    """Statuses of the table of access and of the OpenAPI document, schemas, headers, one shape of a problem."""
    tally = Tally()
    fuzz_operations(service, tally, cases=4, number=SEED)
    fuzz_bodies(service, tally, cases=12, number=SEED)
    fuzz_lives(service, tally, cases=4, number=SEED)
    assert tally.clean(), tally.report()
    assert tally.cases > 200
    assert {200, 201, 401, 403, 404, 405, 409, 415, 422} <= set(tally.statuses), "the cases reach too little"


def test_every_document_is_a_study_or_is_refused(service: Service) -> None:
    """With path and mend, and what is accepted comes back as it was."""
    tally = Tally()
    fuzz_documents(service, tally, cases=300, number=SEED)
    assert tally.clean(), tally.report()
