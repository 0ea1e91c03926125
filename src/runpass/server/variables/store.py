"""Every query on variables. A sensitive value is sealed to its row."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, String, and_, cast, delete, func, or_, select

from runpass.ids import OrganizationId, VariableId
from runpass.secret import Secret
from runpass.server.db import encryption
from runpass.server.db.changing import change_row
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.variables import variables
from runpass.server.variables.model import ConfigurationVariable, Details, Place, VariableRecord, VariableScope

_PLAIN = Details()
_SHOWN = [column for column in variables.c if column.name != "value_sealed"]


def insert_variable(tx: Transaction, cipher: Cipher, variable: ConfigurationVariable) -> None:
    """Store a new variable. A second one of the same name at the same place is a `Conflict`."""
    at = {"created_at": variable.created_at, "updated_at": variable.updated_at}
    tx.execute(variables.insert().values(id=variable.id, **_columns(cipher, variable), **at))


def change_variable(tx: Transaction, cipher: Cipher, variable: ConfigurationVariable, now: datetime) -> datetime:
    """Replace the variable that was read with this `updated_at`; give the new one.

    Raises `Conflict` when somebody else has changed it since.
    """
    columns = _columns(cipher, variable)
    return change_row(tx, variables, variable.id, columns, seen=variable.updated_at, now=now)


def get_variable(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, variable_id: VariableId
) -> ConfigurationVariable | None:
    """Give a variable of this organization, with its value."""
    row = tx.execute(select(variables).where(_mine(organization_id), variables.c.id == variable_id)).one_or_none()
    return None if row is None else _variable(cipher, row)


def get_record(tx: Transaction, organization_id: OrganizationId, variable_id: VariableId) -> VariableRecord | None:
    """Give a variable of this organization; a sensitive value is not opened."""
    row = tx.execute(select(*_SHOWN).where(_mine(organization_id), variables.c.id == variable_id)).one_or_none()
    return None if row is None else VariableRecord(**_facts(row))


def list_variables(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, places: Iterable[Place]
) -> list[ConfigurationVariable]:
    """Give the variables that stand at any of these places, with their values."""
    query = select(variables).where(_mine(organization_id), _at_any(places)).order_by(variables.c.id)
    return [_variable(cipher, row) for row in tx.execute(query)]


def list_records(tx: Transaction, organization_id: OrganizationId, places: Iterable[Place]) -> list[VariableRecord]:
    """Give the variables that stand at any of these places; sensitive values are not opened."""
    query = select(*_SHOWN).where(_mine(organization_id), _at_any(places)).order_by(variables.c.id)
    return [VariableRecord(**_facts(row)) for row in tx.execute(query)]


def list_namesakes(
    tx: Transaction, organization_id: OrganizationId, places: Sequence[Place], *, name: str, type_: int
) -> list[VariableRecord]:
    """Give the variables of this name and type that stand at any of these places."""
    if not places:
        return []
    same = (variables.c.name == name) & (variables.c.type == type_)
    query = select(*_SHOWN).where(_mine(organization_id), _at_any(places), same).order_by(variables.c.id)
    return [VariableRecord(**_facts(row)) for row in tx.execute(query)]


def find_variable(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, place: Place, *, name: str, type_: int
) -> ConfigurationVariable | None:
    """Give the variable of this name and type that stands at exactly this place."""
    same = (variables.c.name == name) & (variables.c.type == type_)
    row = tx.execute(select(variables).where(_mine(organization_id), _at(place), same)).one_or_none()
    return None if row is None else _variable(cipher, row)


def room_taken(
    tx: Transaction, organization_id: OrganizationId, place: Place, *, but: VariableId | None
) -> tuple[int, int]:
    """Give how many variables stand at exactly this place, and their characters together; `but` does not count."""
    table = variables.c
    texts = (table.value, table.value_sealed, cast(table.extra, String))
    characters = func.sum(sum(func.coalesce(func.length(text), 0) for text in texts))
    query = select(func.count(), func.coalesce(characters, 0)).where(_mine(organization_id), _at(place))
    count, size = tx.execute(query if but is None else query.where(table.id != but)).one()
    return int(count), int(size)


def delete_variable(tx: Transaction, variable_id: VariableId) -> bool:
    """Delete a variable; whether it was there."""
    return tx.execute(delete(variables).where(variables.c.id == variable_id)).rowcount == 1


def _mine(organization_id: OrganizationId) -> ColumnElement[bool]:
    return variables.c.organization_id == organization_id


def _at(place: Place) -> ColumnElement[bool]:
    scope, scope_id = place
    return and_(variables.c.scope == scope.value, variables.c.scope_id == scope_id)


def _at_any(places: Iterable[Place]) -> ColumnElement[bool]:
    return or_(*(_at(place) for place in places))


def _sealed_at(variable_id: UUID, organization_id: UUID) -> encryption.Place:
    return encryption.Place("variables", "value_sealed", str(variable_id), organization_id)


def _columns(cipher: Cipher, variable: ConfigurationVariable) -> dict[str, Any]:
    value = variable.value.reveal()
    sealed = cipher.seal(value.encode(), _sealed_at(variable.id, variable.organization_id))
    return {
        "organization_id": variable.organization_id,
        "scope": variable.scope.value,
        "scope_id": variable.scope_id,
        "name": variable.name,
        "type": variable.type,
        "value": None if variable.is_sensitive else value,
        "value_sealed": sealed if variable.is_sensitive else None,
        "is_sensitive": variable.is_sensitive,
        "extra": variable.details.model_dump(mode="json", exclude_defaults=True),
        "created_by": variable.created_by,
    }


def _facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization_id": row.organization_id,
        "scope": VariableScope(row.scope),
        "scope_id": row.scope_id,
        "name": row.name,
        "type": row.type,
        "clear_value": row.value,
        "details": Details.model_validate(row.extra) if row.extra else _PLAIN,  # a page may read thousands
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _variable(cipher: Cipher, row: Row[Any]) -> ConfigurationVariable:
    value = row.value
    if row.is_sensitive:
        value = cipher.unseal(row.value_sealed, _sealed_at(row.id, row.organization_id)).decode()
    return ConfigurationVariable(**_facts(row), value=Secret(value))
