"""What all rules share: the database, the model beside it, the clock, and every attempt ever given."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import Engine, text

from actinium.frame import TrialSummary
from actinium.job import Attempt, StudyId
from actinium.study import Design
from db import models
from queue_machine.model import Model

LEASE_SECONDS = 30
START = datetime(2026, 3, 1, tzinfo=UTC)


class Machine(RuleBasedStateMachine):
    """A queue that nobody has used, and time."""

    def __init__(self, engine: Engine, designs: list[Design], summary: Callable[..., TrialSummary]) -> None:
        super().__init__()
        self.engine = engine
        self.designs = designs
        self.summary = summary
        self.now = START
        self.model = Model()
        self.given: list[list[Attempt]] = []

    def empty(self) -> None:
        names = ", ".join(table.name for table in models.metadata.sorted_tables)
        with self.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))

    def study(self, data: st.DataObject) -> StudyId:
        return StudyId(data.draw(st.sampled_from(sorted(self.model.studies)), label="study"))

    @precondition(lambda self: self.model.studies)
    @rule(seconds=st.sampled_from([2, LEASE_SECONDS, LEASE_SECONDS + 1, 300, -40]))
    def step_the_clock(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
