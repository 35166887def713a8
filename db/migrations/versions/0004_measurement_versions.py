"""The versions of a summary's measurements beside it, so that a study's are compared without reading its summaries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE summaries SET summary = summary - 'measurement_version' WHERE summary ? 'measurement_version'")
    op.add_column(
        "summaries",
        sa.Column(
            "measurement_versions",
            sa.Text(),
            sa.Computed("summary ->> 'measurement_versions'::text", persisted=True),
            nullable=True,
        ),
    )
