"""JSON routes of runners and join tokens: ours, env0 has no counterpart. Revoking one is in `deployments`."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from runpass.ids import OrganizationId
from runpass.protocol.registration import Isolation
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Count, Moment, PoolName
from runpass.server.runners import store
from runpass.server.runners.joining import JoinTokenRequest, create_join_token
from runpass.server.runners.model import DEFAULT_POOL, Runner

router = APIRouter(prefix="/runners", tags=["Runners"])


class CreateJoinToken(ApiModel):
    """Request: a join token for one organization and pool."""

    organization_id: UUID
    pool: PoolName = DEFAULT_POOL
    uses: Annotated[Count, Field(ge=1, le=1000)] = 1
    lifetime_seconds: Annotated[Count, Field(ge=1, le=604_800)] = 3600


class JoinTokenAnswer(ApiModel):
    """Response: the join token, shown here and never again."""

    join_token: str
    pool: str
    expires_at: Moment


class RunnerAnswer(ApiModel):
    """Response: a runner."""

    id: UUID
    name: str
    pool: str
    version: str
    isolation: Isolation
    capacity: int
    bound_project_id: UUID | None = None
    created_at: Moment
    last_seen_at: Moment


@router.post("/join-tokens", status_code=201)
def create_token(body: CreateJoinToken, caller: Caller, db: Db, clock: Now) -> JoinTokenAnswer:
    """Make a join token."""
    organization = OrganizationId(body.organization_id)
    caller.require_organization(organization, Permission.MANAGE_RUNNERS)
    wanted = JoinTokenRequest(organization, body.pool, body.uses, timedelta(seconds=body.lifetime_seconds))
    with db.write() as tx:
        made = create_join_token(tx, wanted, by=caller.audit_name, clock=clock)
    return JoinTokenAnswer(join_token=made.token.reveal(), pool=body.pool, expires_at=made.expires_at)


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")], caller: Caller, db: Db
) -> list[RunnerAnswer]:
    """List an organization's runners."""
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.MANAGE_RUNNERS)
    with db.read() as tx:
        return [_answer(runner) for runner in store.list_runners(tx, organization)]


def _answer(runner: Runner) -> RunnerAnswer:
    return RunnerAnswer(
        id=runner.id,
        name=runner.name,
        pool=runner.pool,
        version=runner.version,
        isolation=runner.isolation,
        capacity=runner.capacity,
        bound_project_id=runner.bound_project_id,
        created_at=runner.created_at,
        last_seen_at=runner.last_seen_at,
    )
