"""JSON routes of variables, under env0's name for them: `/configuration`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator, Field

from runpass.errors import NotFound
from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId, VariableId
from runpass.protocol.wire import cut
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.preconditions import IfMatch, check_unchanged, tell_tag
from runpass.server.http.wire import ApiModel
from runpass.server.templates.store import get_template
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.variables import store
from runpass.server.variables.answers import VariableAnswer, variable_answer
from runpass.server.variables.checking import check_names
from runpass.server.variables.inheritance import overridden, places
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, Place, VariableRecord, VariableScope
from runpass.server.variables.referring import check_references
from runpass.server.variables.requests import VariableBody
from runpass.server.variables.saving import note, save

router = APIRouter(prefix="/configuration", tags=["Variables"])


def _not_empty(value: object) -> object:
    # Not `min_length`: with one bad item among good ones, Pydantic would say that there are none.
    if value in ([], ()):
        raise ValueError("must have at least one variable")
    return value


Variables = Annotated[
    tuple[VariableBody, ...],
    Field(max_length=100, json_schema_extra={"minItems": 1}),
    cut(100),
    BeforeValidator(_not_empty),
]


class Where(ApiModel):
    """Query: which place's variables, with all they inherit."""

    organization_id: UUID
    project_id: UUID | None = None
    blueprint_id: UUID | None = None
    environment_id: UUID | None = None


@router.get("")
def list_all(where: Annotated[Where, Query()], caller: Caller, db: Db) -> list[VariableAnswer]:
    """List the variables of a place and of everything it inherits from."""
    if where.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    with db.read() as tx:
        order = _places(tx, caller, where)
        found = store.list_records(tx, caller.organization_id, order)
    above = overridden(order, found)
    return [variable_answer(item, above.get(item.id)) for item in found]


@router.get("/{variable_id}")
def get(variable_id: UUID, caller: Caller, db: Db, response: Response) -> VariableAnswer:
    """Give one variable."""
    with db.read() as tx:
        variable = _variable_for(tx, caller, variable_id, change=False)
    tell_tag(response, variable.updated_at)
    return variable_answer(variable)


@router.post("")
def save_all(  # noqa: PLR0913, PLR0917 -- one parameter for each part of the request
    body: Variables,
    caller: Caller,
    db: Db,
    clock: Now,
    cipher: Sealing,
    response: Response,
    if_match: IfMatch = None,
) -> list[VariableAnswer]:
    """Save variables: with `id` that one is changed, without it one of the same name at the same place is replaced."""
    wheres = ["" if len(body) == 1 else f"{position}." for position in range(len(body))]
    check_names(
        (f"{where}name", item.name, item.type or ENVIRONMENT_VARIABLE) for where, item in zip(wheres, body, strict=True)
    )
    wanted = []
    with db.write() as tx:
        for where, item in zip(wheres, body, strict=True):
            if item.organization_id != caller.organization_id:
                raise NotFound("there is no such organization")
            _allow(tx, caller, item.scope, item.place_id(), change=True)
            wanted.append(item.wanted(item.scope, item.place_id(), where=where, if_match=if_match))
        check_references(tx, caller, wanted)
        by = caller.audit_name
        saved = [save(tx, cipher, caller.organization_id, item, by=by, clock=clock) for item in wanted]
    if len(saved) == 1:
        tell_tag(response, saved[0].updated_at)
    return [variable_answer(item) for item in saved]


@router.delete("/{variable_id}", status_code=204)
def delete(variable_id: UUID, caller: Caller, db: Db, clock: Now, if_match: IfMatch = None) -> None:
    """Delete a variable."""
    with db.write() as tx:
        variable = _variable_for(tx, caller, variable_id, change=True)
        check_unchanged(if_match, variable.updated_at)
        store.delete_variable(tx, variable.id)
        note(tx, variable, "variable.deleted", by=caller.audit_name, clock=clock)


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


def _places(tx: Transaction, caller: Actor, where: Where) -> list[Place]:
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


def _variable_for(tx: Transaction, caller: Actor, variable_id: UUID, *, change: bool) -> VariableRecord:
    variable = store.get_record(tx, caller.organization_id, VariableId(variable_id))
    if variable is None:
        raise NotFound("there is no such variable")
    try:
        _allow(tx, caller, variable.scope, variable.scope_id, change=change)
    except NotFound as error:  # SECURITY: what is not there and what may not be seen have one sentence
        raise NotFound("there is no such variable") from error
    return variable
