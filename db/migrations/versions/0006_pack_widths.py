"""What packs cost by their width, so that the next ones are as wide as pays."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pack_widths",
        sa.Column("pack_key", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seconds_per_lane_step", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("out_of_memory_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("width >= 1", name=op.f("ck_pack_widths_width")),
        sa.PrimaryKeyConstraint("pack_key", "device", "width", name=op.f("pk_pack_widths")),
    )
    op.create_index(op.f("ix_pack_widths_measured_at"), "pack_widths", ["measured_at"])
