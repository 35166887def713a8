"""Who works on the queue: each dispatcher says how it stands, so that they share the slots and people see it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dispatchers",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("avoided", postgresql.JSONB(), nullable=False),
        sa.Column("halted", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_dispatchers")),
    )
