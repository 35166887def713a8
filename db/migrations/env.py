"""Alembic's entry. Migrations run on the connection that `db.engine.migrate` hands over, each in a transaction."""

from alembic import context

from db.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
