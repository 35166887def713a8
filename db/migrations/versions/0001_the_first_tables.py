"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "frames",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.REAL(), nullable=False),
        sa.Column("layout_id", sa.Integer(), nullable=False),
        sa.Column("values", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "attempt", "step", name=op.f("pk_frames")),
    )
    op.create_table(
        "layouts",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("series", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layouts")),
        sa.UniqueConstraint("digest", name=op.f("uq_layouts_digest")),
    )
    op.create_table(
        "outbox",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('study', 'trial')", name=op.f("ck_outbox_kind")),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_outbox")),
        postgresql_with={
            "fillfactor": "70",
            "autovacuum_vacuum_scale_factor": "0.01",
            "autovacuum_vacuum_threshold": "5000",
        },
    )
    op.create_index(op.f("ix_outbox_available_at"), "outbox", ["available_at"], unique=False)
    op.create_table(
        "studies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("spec", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("project", sa.Text(), sa.Computed("spec ->> 'project'::text", persisted=True), nullable=False),
        sa.Column("name", sa.Text(), sa.Computed("spec ->> 'name'::text", persisted=True), nullable=False),
        sa.Column(
            "priority",
            sa.Integer(),
            sa.Computed("(spec ->> 'priority'::text)::integer", persisted=True),
            nullable=False,
        ),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("invalid_designs", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("cells", sa.Integer(), nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("final_counts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("body_digest", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("owner", "idempotency_key", name=op.f("uq_studies_owner_idempotency_key")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_studies_project_name")),
    )
    op.create_index(
        "ix_studies_open",
        "studies",
        ["priority", "id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL AND cancelled_at IS NULL"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'submitter', 'admin')", name=op.f("ck_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_table(
        "cells",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("levels", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("config", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("pack_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_cells_study_id_studies")),
        sa.PrimaryKeyConstraint("study_id", "index", name=op.f("pk_cells")),
    )
    op.create_table(
        "mirrored_studies",
        sa.Column("study_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_mirrored_studies_study_id_studies")),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_mirrored_studies")),
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("cell_index", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "cell_index"],
            ["cells.study_id", "cells.index"],
            name=op.f("fk_trials_study_id_cell_index_cells"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("study_id", "cell_index", "seed", name=op.f("uq_trials_study_id_cell_index_seed")),
    )
    op.create_index(op.f("ix_trials_study_id_id"), "trials", ["study_id", "id"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("pack_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("width_limit", sa.SmallInteger(), server_default=sa.text("32767"), nullable=False),
        sa.Column("trial_failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("infrastructure_failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_class", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'leased') = (lease_expires_at IS NOT NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_jobs_state")
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_jobs_attempt")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_jobs_trial_id_trials")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_jobs")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.01",
            "autovacuum_vacuum_threshold": "5000",
        },
    )
    op.create_index(
        "ix_jobs_front",
        "jobs",
        ["study_id", "trial_id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'::text"),
    )
    op.create_index(
        "ix_jobs_leased", "jobs", ["study_id"], unique=False, postgresql_where=sa.text("state = 'leased'::text")
    )
    op.create_index(
        "ix_jobs_pack",
        "jobs",
        ["study_id", "pack_key", "width_limit", "trial_id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'::text"),
    )
    op.create_index("ix_jobs_state", "jobs", ["study_id", "state", "trial_id"], unique=False)
    op.create_table(
        "mirrored_trials",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_mirrored_trials_trial_id_trials")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_mirrored_trials")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "summaries",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("outcome IN ('converged', 'stalled', 'diverged')", name=op.f("ck_summaries_outcome")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_summaries_trial_id_trials")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_summaries")),
    )
    op.create_index(
        op.f("ix_summaries_study_id_outcome_trial_id"), "summaries", ["study_id", "outcome", "trial_id"], unique=False
    )
    # Real arrays are dense: trying to compress the long ones costs time and gains little.
    op.execute("ALTER TABLE frames ALTER COLUMN values SET STORAGE EXTERNAL")
