"""JSON routes of variable sets, which env0 has and runpass does not: every list of them is empty."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from runpass.errors import NotFound
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db
from runpass.server.http.wire import ApiModel
from runpass.server.tenancy.lookup import environment_for

router = APIRouter(prefix="/configuration-sets", tags=["Variables"])


class SetAnswer(ApiModel):
    """Response: a set of variables."""

    id: UUID
    name: str


@router.get("")
def list_all(organization_id: Annotated[UUID, Query(alias="organizationId")], caller: Caller) -> list[SetAnswer]:
    """List the organization's sets: none."""
    if organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.VIEW_ORGANIZATION)
    return []


@router.get("/assignments/environment/{environment_id}")
def list_assigned(environment_id: UUID, caller: Caller, db: Db) -> list[SetAnswer]:
    """List the sets that are assigned to an environment: none."""
    with db.read() as tx:
        environment_for(tx, caller, environment_id, Permission.VIEW_PROJECT)
    return []
