"""JSON routes of variables, under env0's name for them: `/configuration`."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from runpass.errors import NotFound
from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId, VariableId
from runpass.protocol.wire import cut
from runpass.secret import Secret
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.wire import ApiModel, Flag, LongText, Name
from runpass.server.templates.store import get_template
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.variables import store
from runpass.server.variables.inheritance import places
from runpass.server.variables.model import ConfigurationVariable, VariableScope
from runpass.server.variables.saving import Wanted, check_names, save

router = APIRouter(prefix="/configuration", tags=["Variables"])
REDACTED = "********"


class VariableBody(ApiModel):
    """Request: one variable. Without `scopeId` only `GLOBAL` makes sense."""

    name: Name
    value: LongText
    scope: VariableScope
    scope_id: UUID | None = None
    organization_id: UUID
    type: Literal[0, 1] = 0
    is_sensitive: Flag = False
    is_readonly: Flag | None = None
    is_required: Flag | None = None
    description: LongText | None = None

    @model_validator(mode="after")
    def _has_a_place(self) -> "VariableBody":
        if self.scope is not VariableScope.GLOBAL and self.scope_id is None:
            raise ValueError("scopeId is required for this scope")
        return self


class VariableAnswer(ApiModel):
    """Response: a variable; the value of a sensitive one is redacted."""

    id: UUID
    name: str
    value: str
    scope: VariableScope
    scope_id: UUID | None = None
    organization_id: UUID
    type: int
    is_sensitive: bool
    is_readonly: bool = False
    is_required: bool = False
    description: str = ""


class Where(ApiModel):
    """Query: which place's variables, with all they inherit."""

    organization_id: UUID
    project_id: UUID | None = None
    blueprint_id: UUID | None = None
    environment_id: UUID | None = None


@router.get("")
def list_all(where: Annotated[Where, Query()], caller: Caller, db: Db, cipher: Sealing) -> list[VariableAnswer]:
    """List the variables of a place and of everything it inherits from."""
    if where.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    with db.read() as tx:
        order = _places(tx, caller, where)
        return [_answer(item) for item in store.list_variables(tx, cipher, caller.organization_id, order)]


@router.get("/{variable_id}")
def get(variable_id: UUID, caller: Caller, db: Db, cipher: Sealing) -> VariableAnswer:
    """Give one variable."""
    with db.read() as tx:
        variable = _variable_for(tx, caller, variable_id, cipher)
        _allow(tx, caller, variable.scope, variable.scope_id, change=False)
        return _answer(variable)


@router.post("")
def save_all(
    body: Annotated[tuple[VariableBody, ...], Field(min_length=1, max_length=100), cut(100)],
    caller: Caller,
    db: Db,
    clock: Now,
    cipher: Sealing,
) -> list[VariableAnswer]:
    """Save variables; one of the same name at the same place is replaced."""
    check_names([item.name for item in body])
    saved = []
    with db.write() as tx:
        for item in body:
            if item.organization_id != caller.organization_id:
                raise NotFound("there is no such organization")
            place = item.scope_id or caller.organization_id
            _allow(tx, caller, item.scope, place, change=True)
            wanted = Wanted(
                item.scope, place, item.name, Secret(item.value), item.is_sensitive, item.type, _extra(item)
            )
            saved.append(save(tx, cipher, caller.organization_id, wanted, by=caller.audit_name, clock=clock))
    return [_answer(item) for item in saved]


@router.delete("/{variable_id}", status_code=204)
def delete(variable_id: UUID, caller: Caller, db: Db, clock: Now, cipher: Sealing) -> None:
    """Delete a variable."""
    with db.write() as tx:
        variable = _variable_for(tx, caller, variable_id, cipher)
        _allow(tx, caller, variable.scope, variable.scope_id, change=True)
        store.delete_variable(tx, variable.id)
        detail = {"name": variable.name}
        organization = caller.organization_id
        subject = str(variable.id)
        record(
            tx,
            AuditEvent(clock.now(), caller.audit_name, "variable.deleted", "variable", subject, organization, detail),
        )


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


def _allow(tx: Transaction, caller: Actor, scope: VariableScope, place: UUID, *, change: bool) -> None:
    """Raise unless the caller may see, or change, variables at this place of its own organization."""
    permission = (_CHANGE if change else _VIEW)[scope]
    match scope:
        case VariableScope.GLOBAL:
            caller.require_organization(OrganizationId(place), permission)
        case VariableScope.BLUEPRINT:
            caller.require(permission, ScopePath(caller.organization_id))
            if get_template(tx, caller.organization_id, TemplateId(place)) is None:
                raise NotFound("there is no such template")
        case VariableScope.PROJECT:
            project_for(tx, caller, place, permission)
        case VariableScope.ENVIRONMENT:
            environment_for(tx, caller, place, permission)


def _places(tx: Transaction, caller: Actor, where: Where) -> list[tuple[VariableScope, UUID]]:
    path: tuple[ProjectId, ...] = ()
    template_id = TemplateId(where.blueprint_id) if where.blueprint_id else None
    environment_id = EnvironmentId(where.environment_id) if where.environment_id else None
    caller.require(_VIEW[VariableScope.GLOBAL], ScopePath(caller.organization_id))
    if template_id is not None:
        _allow(tx, caller, VariableScope.BLUEPRINT, template_id, change=False)
    if where.project_id is not None:
        path = project_for(tx, caller, where.project_id, Permission.VIEW_PROJECT).path
    if environment_id is not None:
        environment, project = environment_for(tx, caller, environment_id, Permission.VIEW_PROJECT)
        path, template_id = project.path, environment.template_id
    return places(caller.organization_id, template_id=template_id, path=path, environment_id=environment_id)


def _variable_for(tx: Transaction, caller: Actor, variable_id: UUID, cipher: Sealing) -> ConfigurationVariable:
    variable = store.get_variable(tx, cipher, caller.organization_id, VariableId(variable_id))
    if variable is None:
        raise NotFound("there is no such variable")
    return variable


def _extra(body: VariableBody) -> dict[str, Any]:
    kept = {"is_readonly": body.is_readonly, "is_required": body.is_required, "description": body.description}
    return {name: value for name, value in kept.items() if value is not None}


def _answer(variable: ConfigurationVariable) -> VariableAnswer:
    is_global = variable.scope is VariableScope.GLOBAL
    return VariableAnswer(
        id=variable.id,
        name=variable.name,
        value=REDACTED if variable.is_sensitive else variable.value.reveal(),
        scope=variable.scope,
        scope_id=None if is_global else variable.scope_id,
        organization_id=variable.organization_id,
        type=variable.type,
        is_sensitive=variable.is_sensitive,
        **variable.extra,
    )
