"""`actinium doctor --database`: what the command says of a database, and of a home without one."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from actinium.errors import StackError
from actinium.study import Design
from db import studies
from db.integrity import RULES
from services.settings import Settings
from services.stack.integrity import check


def test_what_is_broken_is_told_in_a_line(
    engine: Engine, database_url: str, design: Callable[..., Design], now: datetime
) -> None:
    settings = Settings(database_url=database_url)
    said: list[str] = []
    assert check(settings, as_json=False, say=said.append)
    assert said.pop() == f"{len(RULES)} of {len(RULES)} rules hold"
    with engine.begin() as connection:
        studies.create(connection, design(seeds=3), owner="ada", now=now)
        connection.execute(text("UPDATE jobs SET attempt = 1"))
    assert not check(settings, as_json=False, say=said.append)
    assert said.pop().splitlines() == [
        "fault: the history ends as the job stands: broken by 6 (trial 1, 2, 3, 4, 5, ...); "
        "a trial's last event has its job's state and attempt; without events it was never leased",
        f"{len(RULES) - 1} of {len(RULES)} rules hold",
    ]
    assert not check(settings, as_json=True, say=said.append)
    (finding,) = json.loads(said.pop())["findings"]
    assert (finding["severity"], finding["count"], finding["examples"]) == ("fault", 6, ["1", "2", "3", "4", "5"])


def test_another_version_and_a_missing_database_are_sentences(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    with pytest.raises(StackError, match="the database is of version 0011, this code of version"):
        check(Settings(database_url=database_url), as_json=False, say=print)
    with pytest.raises(StackError, match=r"there is no database in .*; set ACTINIUM_HOME"):
        check(Settings(home=tmp_path, database_url=None), as_json=False, say=print)
    assert list(tmp_path.iterdir()) == []
