"""A study is read by the whole team, and changed by its owner and admins alone."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import Engine

from actinium.job import Role
from db import tokens
from services.api.access import ACCESS, CHANGE

BODIES = {"PATCH": {"notes": "mine now"}, "extend": {"seeds": 3}}
STUDY = {"name": "s", "factors": {"activation": ["relu", "elu"]}, "seeds": 2}


@pytest.fixture
def holder(api_url: str, engine: Engine) -> Callable[[str, Role], httpx.Client]:
    """Requests with a new token of this name and role."""

    def hold(name: str, role: Role) -> httpx.Client:
        with engine.begin() as connection:
            secret = tokens.create(connection, name=name, role=role, now=datetime.now(UTC))
        return httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secret}"})

    return hold


def asked(http: httpx.Client, method: str, path: str, study: str) -> httpx.Response:
    """One of the changes, of the study as it is called."""
    body = BODIES.get(method) or BODIES.get(path.rsplit("/", 1)[1])
    return http.request(method, path.replace("{study}", study), json=body)


def test_only_its_owner_and_admins_change_a_study(
    submitter: httpx.Client, admin: httpx.Client, holder: Callable[[str, Role], httpx.Client], subtests: pytest.Subtests
) -> None:
    """Every change that the table has, under the study's id and its name; what a stranger asks for changes nothing."""
    number = str(submitter.post("/v1/studies", json=STUDY).json()["id"])
    before = submitter.get(f"/v1/studies/{number}").json()
    changes = [(method, path) for (method, path), rule in ACCESS.items() if rule == CHANGE and "{study}" in path]
    assert len(changes) == 9
    with holder("tom", Role.SUBMITTER) as stranger:
        assert stranger.get(f"/v1/studies/{number}").json() == before
        for method, path in changes:
            for reference in (number, "s"):
                with subtests.test(method=method, path=path, reference=reference):
                    answer = asked(stranger, method, path, reference)
                    assert answer.status_code == 403
                    assert answer.json()["detail"].startswith(f"study {number} is 'sam''s, and the token is 'tom''s")
            assert asked(stranger, method, path, "777").status_code == 404
        assert stranger.get(f"/v1/studies/{number}").json() == before
    for http in (submitter, admin):
        for method, path in changes:
            with subtests.test(method=method, path=path, by=http is admin):
                # `cancel` comes before `pause` and `resume`, which a cancelled study answers 409; what `retry` has
                # opened again cannot be deleted.
                assert asked(http, method, path, number).status_code in (200, 409)
        assert http.post(f"/v1/studies/{number}/retry").status_code == 200


def test_a_new_token_of_the_name_keeps_what_the_old_one_had(
    submitter: httpx.Client, holder: Callable[[str, Role], httpx.Client]
) -> None:
    """An owner is a name: who has lost a token gets another one, and goes on."""
    submitter.post("/v1/studies", json=STUDY)
    with holder("sam", Role.SUBMITTER) as again, holder("Sam", Role.SUBMITTER) as another:
        assert again.post("/v1/studies/s/pause").status_code == 200
        assert another.post("/v1/studies/s/resume").status_code == 403
    with holder("sam", Role.VIEWER) as weaker:
        assert weaker.post("/v1/studies/s/resume").status_code == 403


def test_who_asks_is_looked_at_before_what_is_asked(holder: Callable[[str, Role], httpx.Client]) -> None:
    """A stranger does not learn from the answer whether a body would have been accepted."""
    with holder("sam", Role.SUBMITTER) as owner, holder("tom", Role.SUBMITTER) as stranger:
        owner.post("/v1/studies", json=STUDY)
        for body in ("no JSON", "{}", '{"notes": 1}', "[" * 15_000):
            assert stranger.patch("/v1/studies/s", content=body).status_code == 403
            assert owner.patch("/v1/studies/s", content=body).status_code in (415, 422)
