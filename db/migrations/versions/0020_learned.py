"""A trial that set no target, or missed it, and beats the best constant guess has learned; the target alone converges.

Summaries that were written before keep their word: their `measurement_versions` say by which definition it is meant.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OUTCOMES = "outcome IN ('converged', 'learned', 'stalled', 'diverged')"


def upgrade() -> None:
    op.execute("ALTER TABLE summaries DROP CONSTRAINT ck_summaries_outcome")
    op.execute(f"ALTER TABLE summaries ADD CONSTRAINT ck_summaries_outcome CHECK ({OUTCOMES}) NOT VALID")
    op.execute("ALTER TABLE summaries VALIDATE CONSTRAINT ck_summaries_outcome")
