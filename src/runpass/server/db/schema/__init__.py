"""The tables, one file per room. Importing this package registers them all on `metadata`."""

from runpass.server.db.schema import (
    access,
    audit,
    compromises,
    credentials,
    deployments,
    instance,
    issuer,
    key_checks,
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
    "compromises",
    "credentials",
    "deployments",
    "instance",
    "issuer",
    "key_checks",
    "metadata",
    "relying_parties",
    "runners",
    "templates",
    "tenancy",
    "variables",
    "vault_logins",
    "vault_tasks",
]
