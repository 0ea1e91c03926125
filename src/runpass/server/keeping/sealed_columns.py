"""Every sealed column, and where its values stand: what a new master key has to go through.

A test compares this list with the schema, and each place with what the rooms themselves seal to.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Table, Uuid

from runpass.server.db.encryption import Place
from runpass.server.db.schema.compromises import key_probes
from runpass.server.db.schema.credentials import credentials
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.db.schema.key_checks import key_checks
from runpass.server.db.schema.variables import variables
from runpass.server.db.schema.vault_logins import vault_logins


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column whose values are sealed to their row and its organization."""

    table: Table
    name: str

    @property
    def key(self) -> Column[Any]:
        """Give the table's primary key."""
        (column,) = self.table.primary_key.columns
        return column

    @property
    def column(self) -> Column[Any]:
        """Give the sealed column itself."""
        return self.table.c[self.name]

    @property
    def before_all(self) -> Any:
        """Give what stands before every primary key."""
        return UUID(int=0) if isinstance(self.key.type, Uuid) else ""

    def place(self, row: Any) -> Place:
        """Give where the value of a row stands; the row has the key as `key` and its `organization_id`."""
        return Place(self.table.name, self.name, str(row.key), row.organization_id)


SEALED_COLUMNS: Final = (
    SealedColumn(signing_keys, "private_key_sealed"),
    SealedColumn(credentials, "secret_sealed"),
    SealedColumn(variables, "value_sealed"),
    SealedColumn(deployments, "inputs_sealed"),
    SealedColumn(deployments, "outputs_sealed"),
    SealedColumn(vault_logins, "accessor_sealed"),
    SealedColumn(key_checks, "probe_sealed"),
    SealedColumn(key_probes, "probe_sealed"),
)
