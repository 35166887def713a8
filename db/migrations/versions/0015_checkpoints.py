"""Which checkpoint a trial goes on from, and how far any of its checkpoints was."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

QUEUED = sa.text("state = 'queued'::text")
KEPT = sa.text("checkpoint <> ''::text")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("checkpoint", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("jobs", sa.Column("furthest_step", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(op.f("ck_jobs_checkpoint"), "jobs", "checkpoint = '' OR state IN ('queued', 'leased')")
    op.drop_index("ix_jobs_pack", table_name="jobs")
    pack = ["study_id", "pack_key", "width_limit", "checkpoint", "place"]
    op.create_index("ix_jobs_pack", "jobs", pack, postgresql_where=QUEUED)
    op.create_index("ix_jobs_checkpoint", "jobs", ["checkpoint"], postgresql_where=KEPT)
