"""What a report reads of a trial that succeeded, in one narrow row; those that are there already get theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A summary's metrics, unpacked once: those of the whole network first, then those of layers, each by name.
PACKED = r"""
    CREATE TEMPORARY TABLE packed ON COMMIT DROP AS
    SELECT summaries.trial_id, found.series, found.metrics,
           encode(sha256(convert_to(array_to_string(found.series, E'\n'), 'UTF8')), 'hex') AS digest
    FROM summaries
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(key ORDER BY position('/' IN key) > 0, key COLLATE "C"), '{}') AS series,
               coalesce(string_agg(float8send(CAST(value AS double precision)), ''
                                   ORDER BY position('/' IN key) > 0, key COLLATE "C"), '') AS metrics
        FROM jsonb_each_text(summaries.summary -> 'metrics')
    ) AS found
"""
LAYOUTS = """
    INSERT INTO layouts (digest, series) SELECT DISTINCT digest, series FROM packed ON CONFLICT DO NOTHING
"""
ROWS = """
    INSERT INTO report_rows
    SELECT trials.id, trials.study_id, layouts.id, trials.cell_index, trials.seed,
           CAST(summaries.summary ->> 'steps' AS integer), summaries.outcome,
           coalesce(summaries.measurement_versions, '{}'), packed.metrics,
           coalesce(curve.steps, ''), coalesce(curve.losses, '')
    FROM packed
    JOIN layouts ON layouts.digest = packed.digest
    JOIN summaries ON summaries.trial_id = packed.trial_id
    JOIN trials ON trials.id = packed.trial_id
    LEFT JOIN (
        SELECT frames.trial_id,
               string_agg(int4send(frames.step), '' ORDER BY frames.step) AS steps,
               string_agg(float4send(frames.values[array_position(layouts.series, 'validation_loss')]), ''
                          ORDER BY frames.step) AS losses
        FROM summaries
        JOIN frames ON frames.trial_id = summaries.trial_id AND frames.attempt = summaries.attempt
        JOIN layouts ON layouts.id = frames.layout_id AND 'validation_loss' = ANY (layouts.series)
        GROUP BY frames.trial_id
    ) AS curve ON curve.trial_id = packed.trial_id
"""


def upgrade() -> None:
    op.create_table(
        "report_rows",
        sa.Column("trial_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("layout_id", sa.Integer(), nullable=False),
        sa.Column("cell_index", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("metrics", sa.LargeBinary(), nullable=False),
        sa.Column("curve_steps", sa.LargeBinary(), nullable=False),
        sa.Column("curve_losses", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["summaries.trial_id"], name=op.f("fk_report_rows_trial_id_summaries")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_report_rows")),
    )
    op.execute("ALTER TABLE report_rows ALTER COLUMN metrics SET STORAGE EXTERNAL")
    op.execute("SET LOCAL statement_timeout = 0")  # every finished trial is read
    for statement in (PACKED, "ANALYZE packed", LAYOUTS, ROWS):
        op.execute(statement)
    op.create_index(
        op.f("ix_report_rows_study_id_layout_id_trial_id"), "report_rows", ["study_id", "layout_id", "trial_id"]
    )
