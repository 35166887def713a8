"""Who may what: tokens of services, an audit, studies that are put away or deleted, and digests of datasets' pieces."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("service", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("studies", sa.Column("archived_at", sa.DateTime(timezone=True)))
    op.create_index(op.f("ix_studies_owner"), "studies", ["owner"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "mirror_removals",
        sa.Column("study_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_mirror_removals")),
    )
    op.execute(
        "CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change()"
    )
    # A study takes its trials' history with it. Whoever deletes says so in its transaction (db/deletion.py).
    op.execute(
        "CREATE FUNCTION refuse_to_change_but_with_its_study() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF TG_OP = 'DELETE' AND current_setting('actinium.deleting', true) = 'study' "
        "THEN RETURN NULL; END IF; RAISE EXCEPTION '% only grows', TG_TABLE_NAME; END $$"
    )
    op.execute("DROP TRIGGER trial_events_only_grow ON trial_events")
    op.execute(
        "CREATE TRIGGER trial_events_only_grow BEFORE UPDATE OR DELETE ON trial_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_but_with_its_study()"
    )
    op.add_column("dataset_pieces", sa.Column("digest", sa.LargeBinary()))
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute("UPDATE dataset_pieces SET digest = sha256(content)")
    op.alter_column("dataset_pieces", "digest", nullable=False)
