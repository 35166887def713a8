"""What happened to each trial, for ever: every change of state with attempt, cause, who and when."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CAUSES = (
    "'lease', 'complete', 'trial_failure', 'infrastructure_failure', 'out_of_memory', 'rescue', 'release', 'pause', "
    "'cancel', 'retry', 'reuse'"
)


def upgrade() -> None:
    op.create_table(
        "trial_events",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(f"cause IN ({CAUSES})", name=op.f("ck_trial_events_cause")),
        sa.PrimaryKeyConstraint("trial_id", "id", name=op.f("pk_trial_events")),
    )
    op.execute(
        "CREATE FUNCTION refuse_to_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME; END $$"
    )
    op.execute(
        "CREATE TRIGGER trial_events_only_grow BEFORE UPDATE OR DELETE ON trial_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change()"
    )
