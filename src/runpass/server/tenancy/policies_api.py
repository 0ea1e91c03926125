"""JSON routes of project policies. Fields are env0's; which of them runpass enforces is told at each."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.preconditions import IfMatch, tell_tag
from runpass.server.http.wire import Moment
from runpass.server.tenancy.changing_policies import change_project_policy
from runpass.server.tenancy.lifetimes import INHERIT
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.policy_requests import ChangePolicy, PolicyFields

router = APIRouter(prefix="/policies", tags=["Projects"])


class PolicyAnswer(PolicyFields):
    """Response: a project's own policy. What is in force there also depends on the policies above it."""

    id: UUID
    project_id: UUID
    updated_by: str
    updated_at: Moment


@router.get("")
def get(
    project_id: Annotated[UUID, Query(alias="projectId")], caller: Caller, db: Db, response: Response
) -> PolicyAnswer:
    """Give a project's own policy."""
    with db.read() as tx:
        return _answer(project_for(tx, caller, project_id, Permission.VIEW_PROJECT), response)


@router.put("")
def change(
    body: ChangePolicy, caller: Caller, db: Db, *, clock: Now, response: Response, if_match: IfMatch = None
) -> PolicyAnswer:
    """Change a project's policy. It can only add to what stands above it."""
    return _answer(change_project_policy(db, caller, body, if_match=if_match, clock=clock), response)


def _answer(project: Project, response: Response) -> PolicyAnswer:
    tell_tag(response, project.updated_at)
    untouched = {"max_ttl": INHERIT, "default_ttl": INHERIT, "updated_by": ""}
    said = {**untouched, **project.policies}
    return PolicyAnswer(**said, id=project.id, project_id=project.id, updated_at=project.updated_at)
