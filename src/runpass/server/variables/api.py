"""JSON routes of variables, under env0's name for them: `/configuration`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator, Field

from runpass.errors import NotFound
from runpass.protocol.wire import cut
from runpass.server.access.dependencies import Caller
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.preconditions import IfMatch, tell_tag
from runpass.server.http.wire import ApiModel
from runpass.server.variables import managing, store
from runpass.server.variables.answers import VariableAnswer, variable_answer
from runpass.server.variables.inheritance import overridden
from runpass.server.variables.requests import VariableBody

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
        order = managing.inherited_by(
            tx,
            caller,
            template_id=where.blueprint_id,
            project_id=where.project_id,
            environment_id=where.environment_id,
        )
        found = store.list_records(tx, caller.organization_id, order)
    above = overridden(order, found)
    return [variable_answer(item, above.get(item.id)) for item in found]


@router.get("/{variable_id}")
def get(variable_id: UUID, caller: Caller, db: Db, response: Response) -> VariableAnswer:
    """Give one variable."""
    with db.read() as tx:
        variable = managing.variable_for(tx, caller, variable_id, change=False)
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
    if any(item.organization_id != caller.organization_id for item in body):
        raise NotFound("there is no such organization")
    wheres = ["" if len(body) == 1 else f"{position}." for position in range(len(body))]
    wanted = [
        item.wanted(item.scope, item.place_id(), where=where, if_match=if_match)
        for where, item in zip(wheres, body, strict=True)
    ]
    with db.write() as tx:
        saved = managing.save_all(tx, cipher, caller, wanted, clock=clock)
    if len(saved) == 1:
        tell_tag(response, saved[0].updated_at)
    return [variable_answer(item) for item in saved]


@router.delete("/{variable_id}", status_code=204)
def delete(variable_id: UUID, caller: Caller, db: Db, clock: Now, if_match: IfMatch = None) -> None:
    """Delete a variable."""
    with db.write() as tx:
        managing.delete(tx, caller, variable_id, if_match=if_match, clock=clock)
