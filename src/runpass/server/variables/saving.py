"""Saving a variable: its name checked, its place allowed, the old one with the same name replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import FieldError, InvalidInput
from runpass.ids import OrganizationId, VariableId, new_id
from runpass.protocol.variable_names import is_reserved, is_well_formed
from runpass.protocol.wire import summary
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.variables import store
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, ConfigurationVariable, VariableScope

MOST_VARIABLES = 500
"""Variables of one place."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable as a caller wants it to be."""

    scope: VariableScope
    scope_id: UUID
    name: str
    value: Secret
    is_sensitive: bool = False
    type: int = ENVIRONMENT_VARIABLE
    extra: Mapping[str, Any] = field(default_factory=dict)


def check_names(names: list[str], *, prefix: str = "") -> None:
    """Refuse names that no run could be given. Raises `InvalidInput` with one error for each, without the value."""
    errors = []
    for position, name in enumerate(names):
        where = f"{prefix}{position}.name" if prefix or len(names) > 1 else "name"
        if not is_well_formed(name):
            errors.append(FieldError(where, "must be letters, digits and underscores, not starting with a digit"))
        elif is_reserved(name):
            errors.append(FieldError(where, "is reserved: runpass or the shell decides it"))
    if errors:
        raise InvalidInput(summary(errors, len(errors)), tuple(errors))


def save(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, wanted: Wanted, *, by: str, clock: Clock
) -> ConfigurationVariable:
    """Store a variable, replacing the one of the same name and type at the same place; give it.

    Raises `InvalidInput` for a new one where there are `MOST_VARIABLES` already.
    """
    now = clock.now()
    place = (wanted.scope, wanted.scope_id)
    old = store.find_variable(tx, cipher, organization_id, place, name=wanted.name, type_=wanted.type)
    if old is None and store.count_variables(tx, organization_id, place) >= MOST_VARIABLES:
        raise InvalidInput.of("name", f"there are {MOST_VARIABLES} variables at this place already, which is the most")
    variable = ConfigurationVariable(
        id=old.id if old else VariableId(new_id()),
        organization_id=organization_id,
        scope=wanted.scope,
        scope_id=wanted.scope_id,
        name=wanted.name,
        value=wanted.value,
        is_sensitive=wanted.is_sensitive,
        type=wanted.type,
        extra=wanted.extra,
        created_by=old.created_by if old else by,
        created_at=old.created_at if old else now,
        updated_at=now,
    )
    if old:
        store.change_variable(tx, cipher, variable)
    else:
        store.insert_variable(tx, cipher, variable)
    detail = {"name": variable.name, "scope": variable.scope.value, "scopeId": str(variable.scope_id)}
    subject = str(variable.id)
    record(tx, AuditEvent(now, by, "variable.saved", "variable", subject, organization_id, detail))
    return variable
