"""The tables. The migrations make them; a test holds the two equal.

Hot and cold stand apart: `trials` and `cells` are written once, `summaries` and `frames` only ever grow, and what
changes while a study runs is in `jobs`, a narrow row a trial. Documents whose key order carries meaning (the order of
factors and levels) are `json`, which keeps it; `jsonb` does not.
"""

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

NO_WIDTH_LIMIT = 32767
"""A job that may train in a pack of any width."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MOMENT = DateTime(timezone=True)

studies = Table(
    "studies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("spec", JSON, nullable=False),
    # Read out of the document, so that it stays the only truth.
    Column("project", Text, Computed("spec ->> 'project'::text", persisted=True), nullable=False),
    Column("name", Text, Computed("spec ->> 'name'::text", persisted=True), nullable=False),
    Column("priority", Integer, Computed("(spec ->> 'priority'::text)::integer", persisted=True), nullable=False),
    Column("owner", Text, nullable=False),
    Column("notes", Text, nullable=False, server_default=text("''")),
    Column("invalid_designs", JSON, nullable=False),
    Column("cells", Integer, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", MOMENT, nullable=False),
    Column("started_at", MOMENT),
    Column("finished_at", MOMENT),
    Column("cancelled_at", MOMENT),
    Column("paused_at", MOMENT),
    Column("archived_at", MOMENT),
    # Counts by state and outcome, kept once nothing is open any more; until then they are counted.
    Column("final_counts", JSONB),
    Column("idempotency_key", Text),
    Column("body_digest", Text),
    UniqueConstraint("project", "name"),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "owner"),
    Index("ix_studies_open", "priority", "id", postgresql_where=text("finished_at IS NULL AND cancelled_at IS NULL")),
)

# What studies were extended by, and what each request was answered.
study_extensions = Table(
    "study_extensions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("study_id", BigInteger, ForeignKey("studies.id"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("extension", JSON, nullable=False),
    Column("idempotency_key", Text),
    Column("body_digest", Text, nullable=False),
    Column("cells", Integer, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("study_id", "owner", "idempotency_key"),
)

cells = Table(
    "cells",
    metadata,
    Column("study_id", BigInteger, ForeignKey("studies.id"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("levels", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("pack_key", Text, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("study_id", BigInteger, nullable=False),
    # Where in the study's order the trial stands. Whatever wants the first few of a study asks in this order: asked in
    # the order of ids, a planner may walk the primary key through all the studies before.
    Column("place", Integer, nullable=False),
    Column("cell_index", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    # The trial of the same digest whose summary and frames are this one's too. No foreign key: nothing
    # removes trials, and each link would be checked one by one.
    Column("reused_from", BigInteger),
    ForeignKeyConstraint(["study_id", "cell_index"], ["cells.study_id", "cells.index"]),
    Index("ix_trials_digest", "digest"),
    Index("ix_trials_reused", "study_id", "cell_index", postgresql_where=text("reused_from IS NOT NULL")),
    UniqueConstraint("study_id", "cell_index", "seed"),
    UniqueConstraint("study_id", "place"),
)

QUEUED = text("state = 'queued'::text")
LEASED = text("state = 'leased'::text")

jobs = Table(
    "jobs",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trials.id"), primary_key=True, autoincrement=False),
    Column("study_id", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("pack_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("width_limit", SmallInteger, nullable=False, server_default=text(str(NO_WIDTH_LIMIT))),
    Column("trial_failures", SmallInteger, nullable=False, server_default=text("0")),
    Column("infrastructure_failures", SmallInteger, nullable=False, server_default=text("0")),
    # How often in quick succession the actor's process died under it, and how often it ran out of memory alone.
    Column("crashes", SmallInteger, nullable=False, server_default=text("0")),
    Column("memory_failures", SmallInteger, nullable=False, server_default=text("0")),
    Column("available_at", MOMENT, nullable=False),
    Column("holder", Text),
    Column("leased_at", MOMENT),
    Column("lease_expires_at", MOMENT),
    Column("finished_at", MOMENT),
    Column("failure_class", Text),
    Column("error", Text),
    # The name of the checkpoint that the next attempt goes on from; empty: from the beginning.
    Column("checkpoint", Text, nullable=False, server_default=text("''")),
    # How far any checkpoint was.
    Column("furthest_step", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("checkpoint = '' OR state IN ('queued', 'leased')", name="checkpoint"),
    CheckConstraint("state IN ('queued', 'leased', 'succeeded', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'leased') = (lease_expires_at IS NOT NULL)", name="lease"),
    CheckConstraint("attempt >= 0", name="attempt"),
    # The queue's front: the earliest job of a study, and the earliest of one pack. Flat in the queue's depth.
    Index("ix_jobs_front", "study_id", "place", postgresql_where=QUEUED),
    Index("ix_jobs_pack", "study_id", "pack_key", "width_limit", "checkpoint", "place", postgresql_where=QUEUED),
    Index("ix_jobs_checkpoint", "checkpoint", postgresql_where=text("checkpoint <> ''::text")),
    # What is lent: as long as the fleet is wide. `lease_expires_at` is left out so that a heartbeat stays a HOT update.
    Index("ix_jobs_leased", "study_id", "place", postgresql_where=LEASED),
    Index("ix_jobs_state", "study_id", "state", "place"),
    postgresql_with={
        "fillfactor": "80",
        "autovacuum_vacuum_scale_factor": "0.01",
        "autovacuum_vacuum_threshold": "5000",
    },
)

# What happened to each trial. It only ever grows, a trigger sees to it, until its study is deleted. No foreign key, as
# with frames.
trial_events = Table(
    "trial_events",
    metadata,
    Column("trial_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("who", Text),
    Column("reason", Text),
    CheckConstraint(
        "cause IN ('lease', 'complete', 'trial_failure', 'infrastructure_failure', 'out_of_memory', 'rescue', "
        "'release', 'pause', 'cancel', 'retry', 'reuse')",
        name="cause",
    ),
)

summaries = Table(
    "summaries",
    metadata,
    # The primary key is the promise: one summary a trial.
    Column("trial_id", BigInteger, ForeignKey("trials.id"), primary_key=True, autoincrement=False),
    Column("study_id", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("summary", JSONB, nullable=False),
    Column("measurement_versions", Text, Computed("summary ->> 'measurement_versions'::text", persisted=True)),
    CheckConstraint("outcome IN ('converged', 'learned', 'stalled', 'diverged')", name="outcome"),
    Index(None, "study_id", "outcome", "trial_id"),
)

# What a report reads of a trial, all of it at once: derived from its summary and frames in the transaction that writes
# the summary. Numbers are packed as PostgreSQL sends them, big-endian: a server hands out an array number by number,
# but bytes as they are. `metrics`: float8 in the layout's order, NaN where there is none; the whole network's first.
report_rows = Table(
    "report_rows",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trials.id"), primary_key=True, autoincrement=False),
    Column("study_id", BigInteger, nullable=False),
    Column("layout_id", Integer, nullable=False),
    Column("cell_index", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("versions", Text, nullable=False),
    Column("metrics", LargeBinary, nullable=False),
    Column("curve_steps", LargeBinary, nullable=False),
    Column("curve_losses", LargeBinary, nullable=False),
    Index(None, "study_id", "layout_id", "trial_id"),
)

layouts = Table(
    "layouts",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("series", ARRAY(Text), nullable=False),
)

# No foreign keys: at a million values a second their checks would cost more than the rows.
frames = Table(
    "frames",
    metadata,
    Column("trial_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("time", REAL, nullable=False),
    Column("layout_id", Integer, nullable=False),
    Column("values", ARRAY(REAL), nullable=False),
)

# A set of what has news, not a log: a study or trial stands in it once, however often it changed.
outbox = Table(
    "outbox",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("available_at", MOMENT, nullable=False),
    CheckConstraint("kind IN ('study', 'trial')", name="kind"),
    Index(None, "available_at", "kind", "subject_id"),
    postgresql_with={
        "fillfactor": "70",
        "autovacuum_vacuum_scale_factor": "0.01",
        "autovacuum_vacuum_threshold": "5000",
    },
)

mirrored_studies = Table(
    "mirrored_studies",
    metadata,
    Column("study_id", BigInteger, ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    Column("experiment_id", Text, nullable=False),
)

mirrored_trials = Table(
    "mirrored_trials",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trials.id"), primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("closed", Text),
    postgresql_with={"fillfactor": "80"},
)

# What the mirror was found to lack; of a study of which it lacks nothing there is no row.
mirror_findings = Table(
    "mirror_findings",
    metadata,
    Column("study_id", BigInteger, ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    Column("experiment", Text),
    Column("deleted_runs", Integer, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
)

# Experiments of MLflow whose studies were deleted here, and which the mirror is to delete there.
mirror_removals = Table(
    "mirror_removals",
    metadata,
    Column("study_id", BigInteger, primary_key=True, autoincrement=False),
    Column("experiment_id", Text, nullable=False),
    Column("available_at", MOMENT, nullable=False),
)

# Who deleted what, and who made or revoked which token. It only ever grows, a trigger sees to it.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", MOMENT, nullable=False),
    Column("last_used_at", MOMENT),
    Column("revoked_at", MOMENT),
    Column("expires_at", MOMENT),
    # A token of the installation itself, as the dashboard's: no person's name means it.
    Column("service", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("role IN ('viewer', 'submitter', 'admin')", name="role"),
)

# A name means one content for ever; a content is kept once, in pieces of a few megabytes.
dataset_contents = Table(
    "dataset_contents",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("shape", ARRAY(Integer), nullable=False),
    Column("classes", Integer, nullable=False),
    Column("examples", Integer, nullable=False),
    Column("label_counts", ARRAY(Integer), nullable=False),
    Column("file_bytes", BigInteger, nullable=False),
    # Of a split of its own: the last examples, first validation, then test; 0 where a trial draws the part.
    Column("official_validation", Integer, nullable=False, server_default=text("0")),
    Column("official_test", Integer, nullable=False, server_default=text("0")),
)

dataset_pieces = Table(
    "dataset_pieces",
    metadata,
    Column("sha256", Text, ForeignKey("dataset_contents.sha256"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
    # SHA-256 of the content, so that damage is found.
    Column("digest", LargeBinary, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sha256", Text, ForeignKey("dataset_contents.sha256"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    # How the file that came under this name was understood; null for those that came before that was kept.
    Column("recognized", JSONB(none_as_null=True)),
)

# What packs cost, by the width that they were counted as. The latest few times are kept, oldest first, so that one slow
# pack decides nothing.
trial_artifacts = Table(
    "trial_artifacts",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trials.id"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Who works on the queue, as each said last.
dispatchers = Table(
    "dispatchers",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("started_at", MOMENT, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    Column("avoided", JSONB, nullable=False),
    Column("halted", Text),
    # Of the largest node or device that its actors live on.
    Column("memory_bytes", BigInteger),
)

pack_widths = Table(
    "pack_widths",
    metadata,
    Column("pack_key", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("width", Integer, primary_key=True, autoincrement=False),
    Column("seconds_per_lane_step", ARRAY(REAL), nullable=False),
    Column("measured_at", MOMENT, nullable=False),
    # When memory was last lacking at this width.
    Column("out_of_memory_at", MOMENT),
    CheckConstraint("width >= 1", name="width"),
    Index(None, "measured_at"),
)
