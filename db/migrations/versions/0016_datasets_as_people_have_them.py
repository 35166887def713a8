"""A dataset has how its file was understood, and a split of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for part in ("official_validation", "official_test"):
        column = sa.Column(part, sa.Integer(), server_default=sa.text("0"), nullable=False)
        op.add_column("dataset_contents", column)
    op.add_column("datasets", sa.Column("recognized", postgresql.JSONB(astext_type=sa.Text())))
