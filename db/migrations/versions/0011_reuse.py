"""Trials that are linked with one of the same digest that succeeded, and the way to find it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("reused_from", sa.BigInteger(), nullable=True))
    op.execute("SET LOCAL statement_timeout = 0")  # every trial is read
    op.create_index("ix_trials_digest", "trials", ["digest"])
    op.create_index(
        "ix_trials_reused",
        "trials",
        ["study_id", "cell_index"],
        postgresql_where=sa.text("reused_from IS NOT NULL"),
    )
    # A reused trial has a report row and no summary of its own.
    op.drop_constraint("fk_report_rows_trial_id_summaries", "report_rows", type_="foreignkey")
    op.create_foreign_key(op.f("fk_report_rows_trial_id_trials"), "report_rows", "trials", ["trial_id"], ["id"])
