"""How often a trial took its actor's process with it, how often it ran out of memory alone; the memory of the nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("crashes", "memory_failures"):
        op.add_column("jobs", sa.Column(name, sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("dispatchers", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
