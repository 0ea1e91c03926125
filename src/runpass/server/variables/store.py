"""Every query on variables. A sensitive value is sealed to its row."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update

from runpass.ids import OrganizationId, VariableId
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.variables import variables
from runpass.server.variables.model import ConfigurationVariable, VariableScope

Where = tuple[VariableScope, UUID]
Scopes = Sequence[Where]


def insert_variable(tx: Transaction, cipher: Cipher, variable: ConfigurationVariable) -> None:
    """Store a new variable. A second one of the same name at the same place is a `Conflict`."""
    tx.execute(variables.insert().values(id=variable.id, **_columns(cipher, variable)))


def change_variable(tx: Transaction, cipher: Cipher, variable: ConfigurationVariable) -> None:
    """Replace a variable."""
    tx.execute(update(variables).where(variables.c.id == variable.id).values(**_columns(cipher, variable)))


def get_variable(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, variable_id: VariableId
) -> ConfigurationVariable | None:
    """Give a variable of this organization."""
    mine = (variables.c.id == variable_id) & (variables.c.organization_id == organization_id)
    row = tx.execute(select(variables).where(mine)).one_or_none()
    return None if row is None else _variable(cipher, row)


def list_variables(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, scopes: Scopes
) -> list[ConfigurationVariable]:
    """Give the variables that stand at any of these places."""
    places = or_(*(_at(place) for place in scopes))
    mine = variables.c.organization_id == organization_id
    rows = tx.execute(select(variables).where(mine, places).order_by(variables.c.id))
    return [_variable(cipher, row) for row in rows]


def find_variable(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, where: Where, *, name: str, type_: int
) -> ConfigurationVariable | None:
    """Give the variable of this name and type that stands at exactly this place."""
    mine = (variables.c.organization_id == organization_id) & _at(where)
    query = select(variables).where(mine, variables.c.name == name, variables.c.type == type_)
    row = tx.execute(query).one_or_none()
    return None if row is None else _variable(cipher, row)


def count_variables(tx: Transaction, organization_id: OrganizationId, where: Where) -> int:
    """Count the variables that stand at exactly this place."""
    mine = (variables.c.organization_id == organization_id) & _at(where)
    return int(tx.execute(select(func.count()).select_from(variables).where(mine)).scalar_one())


def delete_variable(tx: Transaction, variable_id: VariableId) -> None:
    """Delete a variable."""
    tx.execute(delete(variables).where(variables.c.id == variable_id))


def _at(where: Where) -> ColumnElement[bool]:
    scope, scope_id = where
    return and_(variables.c.scope == scope.value, variables.c.scope_id == scope_id)


def _place(variable_id: UUID, organization_id: UUID) -> Place:
    return Place("variables", "value_sealed", str(variable_id), organization_id)


def _columns(cipher: Cipher, variable: ConfigurationVariable) -> dict[str, Any]:
    value = variable.value.reveal()
    sealed = cipher.seal(value.encode(), _place(variable.id, variable.organization_id))
    return {
        "organization_id": variable.organization_id,
        "scope": variable.scope.value,
        "scope_id": variable.scope_id,
        "name": variable.name,
        "type": variable.type,
        "value": None if variable.is_sensitive else value,
        "value_sealed": sealed if variable.is_sensitive else None,
        "is_sensitive": variable.is_sensitive,
        "extra": dict(variable.extra),
        "created_by": variable.created_by,
        "created_at": variable.created_at,
        "updated_at": variable.updated_at,
    }


def _variable(cipher: Cipher, row: Row[Any]) -> ConfigurationVariable:
    value = row.value
    if row.is_sensitive:
        value = cipher.unseal(row.value_sealed, _place(row.id, row.organization_id)).decode()
    return ConfigurationVariable(
        id=row.id,
        organization_id=row.organization_id,
        scope=VariableScope(row.scope),
        scope_id=row.scope_id,
        name=row.name,
        value=Secret(value),
        is_sensitive=row.is_sensitive,
        type=row.type,
        extra=row.extra,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
