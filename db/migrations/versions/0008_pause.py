"""A study can be paused: nothing of it is leased until it is resumed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
