"""Trials and jobs have a place in their study, and what wants the first few of a study asks in that order."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

QUEUED = sa.text("state = 'queued'::text")
LEASED = sa.text("state = 'leased'::text")


def upgrade() -> None:
    op.add_column("trials", sa.Column("place", sa.Integer(), nullable=True))
    op.execute(
        """
        UPDATE trials SET place = numbered.place
        FROM (SELECT id, row_number() OVER (PARTITION BY study_id ORDER BY id) - 1 AS place FROM trials) AS numbered
        WHERE trials.id = numbered.id
        """
    )
    op.alter_column("trials", "place", nullable=False)
    op.drop_index(op.f("ix_trials_study_id_id"), table_name="trials")
    op.create_unique_constraint(op.f("uq_trials_study_id_place"), "trials", ["study_id", "place"])

    op.add_column("jobs", sa.Column("place", sa.Integer(), nullable=True))
    op.execute("UPDATE jobs SET place = trials.place FROM trials WHERE trials.id = jobs.trial_id")
    op.alter_column("jobs", "place", nullable=False)
    for name in ("ix_jobs_front", "ix_jobs_pack", "ix_jobs_leased", "ix_jobs_state"):
        op.drop_index(name, table_name="jobs")
    op.create_index("ix_jobs_front", "jobs", ["study_id", "place"], postgresql_where=QUEUED)
    op.create_index("ix_jobs_pack", "jobs", ["study_id", "pack_key", "width_limit", "place"], postgresql_where=QUEUED)
    op.create_index("ix_jobs_leased", "jobs", ["study_id", "place"], postgresql_where=LEASED)
    op.create_index("ix_jobs_state", "jobs", ["study_id", "state", "place"])

    op.drop_index(op.f("ix_outbox_available_at"), table_name="outbox")
    op.create_index(op.f("ix_outbox_available_at_kind_subject_id"), "outbox", ["available_at", "kind", "subject_id"])
