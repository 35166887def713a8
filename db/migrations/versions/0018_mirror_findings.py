"""What was found missing in MLflow, of studies that had been mirrored."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mirror_findings",
        sa.Column("study_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment", sa.Text(), nullable=True),
        sa.Column("deleted_runs", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_mirror_findings_study_id_studies")),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_mirror_findings")),
    )
