"""Alembic's entry: runs inside the connection that `runpass.server.db.migrate` hands over."""

from alembic import context

from runpass.server.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
