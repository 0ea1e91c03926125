"""Saving variables: places and values checked, the old one with the same name replaced."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import FieldError, InvalidInput, NotFound
from runpass.ids import EnvironmentId, OrganizationId, ProjectId, VariableId, new_id
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import check_unchanged
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.model import Environment
from runpass.server.tenancy.store import get_project
from runpass.server.variables import store
from runpass.server.variables.checking import check_names, value_refusal
from runpass.server.variables.inheritance import places
from runpass.server.variables.model import (
    ENVIRONMENT_VARIABLE,
    ConfigurationVariable,
    Details,
    Place,
    VariableRecord,
    VariableScope,
)

MOST_VARIABLES = 500
"""Variables of one place."""

MOST_CHARACTERS = 2_097_152
"""Of all values at one place, with what is said about them: twice what any run could be given."""

REDACTED = "********"
"""What is shown instead of a sensitive value. Sent back for a variable that is sensitive, it keeps the value."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable as a caller wants it to be. With `id` that one is changed, and may get another name."""

    scope: VariableScope
    scope_id: UUID
    name: str
    value: Secret
    is_sensitive: bool = False
    type: int = ENVIRONMENT_VARIABLE
    details: Details = field(default=Details())
    id: VariableId | None = None
    if_match: str | None = None
    where: str = ""
    """What the caller's fields are called before their names (`configurationChanges.0.`), for errors."""

    @property
    def place(self) -> Place:
        """Give where it is to stand."""
        return self.scope, self.scope_id


@dataclass(frozen=True, slots=True)
class Change:
    """A variable of an environment to save, or to delete: by `id`, else by name and type."""

    wanted: Wanted
    to_delete: bool = False


def save(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, wanted: Wanted, *, by: str, clock: Clock
) -> ConfigurationVariable:
    """Store a variable: change the one of its `id`, else replace the one of its name and type there; give it.

    Raises `InvalidInput` for a value that its own rules refuse, for a name that a place above keeps to itself, and for
    one that there is no room for: `MOST_VARIABLES` and `MOST_CHARACTERS` at one place; `NotFound` for an `id` that does
    not stand at this place; `PreconditionFailed` and `Conflict` when somebody else has changed it.
    """
    now = clock.now()
    old = _old(tx, cipher, organization_id, wanted)
    wanted = _checked(tx, organization_id, wanted, old)
    _check_room(tx, organization_id, wanted, old)
    variable = ConfigurationVariable(
        id=old.id if old else VariableId(new_id()),
        organization_id=organization_id,
        scope=wanted.scope,
        scope_id=wanted.scope_id,
        name=wanted.name,
        type=wanted.type,
        clear_value=None if wanted.is_sensitive else wanted.value.reveal(),
        details=wanted.details,
        created_by=old.created_by if old else by,
        created_at=old.created_at if old else now,
        updated_at=old.updated_at if old else now,
        value=wanted.value,
    )
    if old:
        variable = replace(variable, updated_at=store.change_variable(tx, cipher, variable, now))
    else:
        store.insert_variable(tx, cipher, variable)
    note(tx, variable, "variable.saved", by=by, clock=clock)
    return variable


def apply_changes(
    tx: Transaction,
    cipher: Cipher,
    environment: Environment,
    changes: Sequence[Change],
    *,
    by: str,
    clock: Clock,
) -> None:
    """Save and delete variables of an environment, in this order (env0's scope `DEPLOYMENT`). Raises as `save`.

    Deleting by name what is not there is no error; what is inherited cannot be deleted from here.
    """
    kept = [item.wanted for item in changes if not item.to_delete]
    check_names((f"{item.where}name", item.name, item.type) for item in kept)
    for item in changes:
        if item.to_delete:
            _delete(tx, environment, item.wanted, by=by, clock=clock)
        else:
            save(tx, cipher, environment.organization_id, item.wanted, by=by, clock=clock)


def note(tx: Transaction, variable: VariableRecord, action: str, *, by: str, clock: Clock) -> None:
    """Write into the audit trail what was done to a variable."""
    detail = {"name": variable.name, "scope": variable.scope.value, "scopeId": str(variable.scope_id)}
    subject = str(variable.id)
    record(tx, AuditEvent(clock.now(), by, action, "variable", subject, variable.organization_id, detail))


def _delete(tx: Transaction, environment: Environment, wanted: Wanted, *, by: str, clock: Clock) -> None:
    if wanted.id is not None:
        found = store.get_record(tx, environment.organization_id, wanted.id)
        if found is None or found.place != wanted.place:
            raise NotFound("there is no such variable of this environment")
        doomed = [found]
    else:
        doomed = store.list_namesakes(
            tx, environment.organization_id, [wanted.place], name=wanted.name, type_=wanted.type
        )
    for variable in doomed:
        store.delete_variable(tx, variable.id)
        note(tx, variable, "variable.deleted", by=by, clock=clock)


def _old(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, wanted: Wanted
) -> ConfigurationVariable | None:
    if wanted.id is None:
        old = store.find_variable(tx, cipher, organization_id, wanted.place, name=wanted.name, type_=wanted.type)
    else:
        old = store.get_variable(tx, cipher, organization_id, wanted.id)
        if old is None or old.place != wanted.place:
            raise NotFound("there is no such variable")
    if old is not None:
        check_unchanged(wanted.if_match, old.updated_at)
    return old


def _check_room(
    tx: Transaction, organization_id: OrganizationId, wanted: Wanted, old: ConfigurationVariable | None
) -> None:
    """SECURITY: a list, and every deployment, reads all variables of a place at once."""
    count, characters = store.room_taken(tx, organization_id, wanted.place, but=old.id if old else None)
    message = None
    if count >= MOST_VARIABLES:
        message = f"there are {MOST_VARIABLES} variables at this place already, which is the most"
    own = len(wanted.value.reveal()) + len(wanted.details.model_dump_json(exclude_defaults=True))
    if characters + own > MOST_CHARACTERS:
        message = f"the variables of one place may have {MOST_CHARACTERS} characters together: this one is too much"
    if message is not None:
        raise InvalidInput.of(f"{wanted.where}name", message)


def _checked(
    tx: Transaction, organization_id: OrganizationId, wanted: Wanted, old: ConfigurationVariable | None
) -> Wanted:
    """Give what to store. Raises `InvalidInput`."""
    errors = []
    if wanted.is_sensitive and old is not None and old.is_sensitive and wanted.value.reveal() == REDACTED:
        wanted, refusal = replace(wanted, value=old.value), _kept_refusal(old.details, wanted.details)
    else:
        refusal = value_refusal(wanted.value.reveal(), wanted.details)
    if refusal is not None:
        errors.append(FieldError(f"{wanted.where}value", refusal))
    above = _places_above(tx, organization_id, wanted.place)
    same = store.list_namesakes(tx, organization_id, above, name=wanted.name, type_=wanted.type)
    keeping = next((item for item in same if item.details.is_readonly), None)
    if keeping is not None:
        message = f"a variable of this name is read-only at the scope {keeping.scope.value} and cannot be overridden"
        errors.append(FieldError(f"{wanted.where}name", message))
    if errors:
        raise InvalidInput("; ".join(f"{item.field}: {item.message}" for item in errors), tuple(errors))
    return wanted


def _kept_refusal(old: Details, new: Details) -> str | None:
    """Say why a sensitive value cannot be kept under these details, or nothing if it can.

    SECURITY: it is not compared with new rules. The answer would tell a little of it to whoever made them up.
    """
    if (old.regex, old.value_schema) == (new.regex, new.value_schema):
        return None
    return "must be sent again: one that is not shown is kept only while regex and schema stay as they are"


def _places_above(tx: Transaction, organization_id: OrganizationId, place: Place) -> list[Place]:
    """Give the places that variables of this one override. A project's templates are not known to it."""
    scope, scope_id = place
    match scope:
        case VariableScope.GLOBAL:
            return []
        case VariableScope.BLUEPRINT:
            return places(organization_id)
        case VariableScope.PROJECT:
            project = get_project(tx, organization_id, ProjectId(scope_id))
            return places(organization_id, path=project.path[:-1] if project else ())
        case VariableScope.ENVIRONMENT:
            environment = environment_store.get_environment(tx, organization_id, EnvironmentId(scope_id))
            project = get_project(tx, organization_id, environment.project_id) if environment else None
            template_id = environment.template_id if environment else None
            return places(organization_id, template_id=template_id, path=project.path if project else ())
