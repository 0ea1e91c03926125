"""What callers do with variables: the rules of the JSON routes and of the console."""

from collections.abc import Sequence
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import Conflict, Forbidden, InvalidInput, NotFound
from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId, VariableId
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import check_unchanged
from runpass.server.templates.store import get_template
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.variables import store
from runpass.server.variables.checking import check_names
from runpass.server.variables.inheritance import places
from runpass.server.variables.model import ConfigurationVariable, Place, VariableRecord, VariableScope
from runpass.server.variables.referring import check_references
from runpass.server.variables.saving import Wanted, note, save

_CHANGE = {
    VariableScope.GLOBAL: Permission.EDIT_ORGANIZATION_SETTINGS,
    VariableScope.BLUEPRINT: Permission.MANAGE_TEMPLATES,
    VariableScope.PROJECT: Permission.EDIT_PROJECT_SETTINGS,
    VariableScope.ENVIRONMENT: Permission.EDIT_ENVIRONMENT_SETTINGS,
}
_VIEW = {
    VariableScope.GLOBAL: Permission.VIEW_ORGANIZATION,
    VariableScope.BLUEPRINT: Permission.VIEW_TEMPLATES,
    VariableScope.PROJECT: Permission.VIEW_PROJECT,
    VariableScope.ENVIRONMENT: Permission.VIEW_PROJECT,
}


def allow(tx: Transaction, actor: Actor, place: Place, *, change: bool) -> None:
    """Raise unless the actor may see, or change, variables at this place of its own organization."""
    scope, scope_id = place
    permission = (_CHANGE if change else _VIEW)[scope]
    match scope:
        case VariableScope.GLOBAL:
            actor.require_organization(OrganizationId(scope_id), permission)
        case VariableScope.BLUEPRINT:
            actor.require(permission, ScopePath(actor.organization_id))
            if get_template(tx, actor.organization_id, TemplateId(scope_id)) is None:
                raise NotFound("there is no such template")
        case VariableScope.PROJECT:
            project_for(tx, actor, scope_id, permission)
        case VariableScope.ENVIRONMENT:
            environment_for(tx, actor, scope_id, permission)


def may_change(tx: Transaction, actor: Actor, place: Place) -> bool:
    """Whether the actor, who sees this place, may change variables there now."""
    try:
        allow(tx, actor, place, change=True)
    except (Forbidden, Conflict):
        return False
    return True


def inherited_by(
    tx: Transaction,
    actor: Actor,
    *,
    template_id: UUID | None = None,
    project_id: UUID | None = None,
    environment_id: UUID | None = None,
) -> list[Place]:
    """Give the places whose variables count there, weakest first; without any, the organization alone.

    Raises `NotFound` or `Forbidden` where the actor may not see them.
    """
    path: tuple[ProjectId, ...] = ()
    template = TemplateId(template_id) if template_id else None
    actor.require(_VIEW[VariableScope.GLOBAL], ScopePath(actor.organization_id))
    if template is not None:
        allow(tx, actor, (VariableScope.BLUEPRINT, template), change=False)
    if project_id is not None:
        path = project_for(tx, actor, project_id, Permission.VIEW_PROJECT).path
    if environment_id is not None:
        environment, project = environment_for(tx, actor, environment_id, Permission.VIEW_PROJECT)
        path, template = project.path, environment.template_id
    where = EnvironmentId(environment_id) if environment_id else None
    return places(actor.organization_id, template_id=template, path=path, environment_id=where)


def variable_for(tx: Transaction, actor: Actor, variable_id: UUID, *, change: bool) -> VariableRecord:
    """Give a variable that the actor may see, or change; a sensitive value is not opened."""
    variable = store.get_record(tx, actor.organization_id, VariableId(variable_id))
    if variable is None:
        raise NotFound("there is no such variable")
    try:
        allow(tx, actor, variable.place, change=change)
    except NotFound as error:  # SECURITY: what is not there and what may not be seen have one sentence
        raise NotFound("there is no such variable") from error
    return variable


def save_all(
    tx: Transaction, cipher: Cipher, actor: Actor, wanted: Sequence[Wanted], *, clock: Clock
) -> list[ConfigurationVariable]:
    """Save variables where the actor may: each changes the one of its `id`, else replaces its namesake there.

    Raises `NotFound` or `Forbidden` where it may not; `InvalidInput` for names, references and values; as
    `saving.save`.
    """
    check_names((f"{item.where}name", item.name, item.type) for item in wanted)
    for item in wanted:
        allow(tx, actor, item.place, change=True)
    check_references(tx, actor, wanted)
    return [save(tx, cipher, actor.organization_id, item, by=actor.audit_name, clock=clock) for item in wanted]


def save_new(tx: Transaction, cipher: Cipher, actor: Actor, wanted: Wanted, *, clock: Clock) -> ConfigurationVariable:
    """Save a variable that is not there yet: nobody replaces what they have not seen. Raises as `save_all`."""
    allow(tx, actor, wanted.place, change=True)
    if store.list_namesakes(tx, actor.organization_id, [wanted.place], name=wanted.name, type_=wanted.type):
        raise InvalidInput.of(f"{wanted.where}name", "is there already at this place: change that one")
    (saved,) = save_all(tx, cipher, actor, [wanted], clock=clock)
    return saved


def delete(tx: Transaction, actor: Actor, variable_id: UUID, *, if_match: str | None, clock: Clock) -> VariableRecord:
    """Delete a variable; give what it was. Raises as `variable_for`; `PreconditionFailed` if it has changed."""
    variable = variable_for(tx, actor, variable_id, change=True)
    check_unchanged(if_match, variable.updated_at)
    store.delete_variable(tx, variable.id)
    note(tx, variable, "variable.deleted", by=actor.audit_name, clock=clock)
    return variable
