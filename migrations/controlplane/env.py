"""Alembic's entry: runs on the connection it is handed and leaves the transaction to the caller."""

from alembic import context

from controlplane.models import RegistryBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=RegistryBase.metadata,
    transactional_ddl=False,
    render_as_batch=False,
)
context.run_migrations()
