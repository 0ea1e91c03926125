"""The tables, one file per room. Importing this package registers them all on `metadata`."""

from runpass.server.db.schema import (
    access,
    audit,
    credentials,
    deployments,
    instance,
    issuer,
    relying_parties,
    runners,
    templates,
    tenancy,
    variables,
    vault_logins,
    vault_tasks,
)
from runpass.server.db.schema.columns import metadata

__all__ = [
    "access",
    "audit",
    "credentials",
    "deployments",
    "instance",
    "issuer",
    "metadata",
    "relying_parties",
    "runners",
    "templates",
    "tenancy",
    "variables",
    "vault_logins",
    "vault_tasks",
]
