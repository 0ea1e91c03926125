"""JSON routes of runners and join tokens: ours, env0 has no counterpart. Revoking one is in `deployments`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from runpass.ids import OrganizationId
from runpass.protocol.registration import Isolation
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.runners import store
from runpass.server.runners.making_tokens import JoinTokenFields, make_join_token
from runpass.server.runners.model import Runner

router = APIRouter(prefix="/runners", tags=["Runners"])


class CreateJoinToken(JoinTokenFields):
    """Request: a join token for one organization and pool."""

    organization_id: UUID


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
    made = make_join_token(db, OrganizationId(body.organization_id), body, caller, clock)
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
