"""Datasets that people add."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset_contents",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("shape", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("label_counts", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("file_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_dataset_contents")),
    )
    op.create_table(
        "dataset_pieces",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["dataset_contents.sha256"], name=op.f("fk_dataset_pieces_sha256_dataset_contents")
        ),
        sa.PrimaryKeyConstraint("sha256", "index", name=op.f("pk_dataset_pieces")),
    )
    op.create_table(
        "datasets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["dataset_contents.sha256"], name=op.f("fk_datasets_sha256_dataset_contents")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_datasets")),
    )

    # A file is compressed as it comes, or was not worth it.
    op.execute("ALTER TABLE dataset_pieces ALTER COLUMN content SET STORAGE EXTERNAL")
