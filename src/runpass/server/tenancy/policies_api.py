"""JSON routes of project policies. Fields are env0's; which of them runpass enforces is told at each."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field, StrictInt

from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.preconditions import IfMatch, check_unchanged, tell_tag
from runpass.server.http.wire import ApiModel, Flag, Moment, ShortText
from runpass.server.tenancy import store
from runpass.server.tenancy.lifetimes import INHERIT, InheritedLifetime
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.policies import check_default

router = APIRouter(prefix="/policies", tags=["Projects"])
Most = Annotated[StrictInt | None, Field(ge=0, le=2_147_483_647)]


class PolicyFields(ApiModel):
    """What a project's policy says."""

    requires_approval_default: Annotated[
        Flag, Field(description="Enforced: deployments in the project and below it wait for an approval.")
    ] = False
    disable_destroy_environments: Annotated[
        Flag, Field(description="Enforced: environments in the project and below it cannot be destroyed.")
    ] = False
    max_ttl: InheritedLifetime = None
    default_ttl: InheritedLifetime = None
    number_of_environments: Most = None
    number_of_environments_total: Most = None
    include_cost_estimation: Flag = False
    skip_apply_when_plan_is_empty: Flag = False
    skip_redundant_deployments: Flag = False
    run_pull_request_plan_default: Flag = False
    continuous_deployment_default: Flag = False
    force_remote_backend: Flag = False
    drift_detection_enabled: Flag = False
    drift_detection_cron: ShortText | None = None
    auto_drift_remediation: ShortText | None = None
    vcs_pr_comments_enabled_default: Flag = False
    outputs_as_inputs_enabled: Flag = False


class ChangePolicy(PolicyFields):
    """Request: the whole new policy of a project. What runpass does not enforce is kept and given back."""

    project_id: UUID


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
    policies: dict[str, Any] = body.model_dump(exclude={"project_id"})
    check_default(policies)
    with db.write() as tx:
        project = project_for(tx, caller, body.project_id, Permission.EDIT_PROJECT_SETTINGS)
        check_unchanged(if_match, project.updated_at)
        kept = {**policies, "updated_by": caller.audit_name}
        changed = store.change_project(tx, project, {"policies": kept}, clock.now())
        record(tx, _event(project, caller, body, clock.now()))
        return _answer(changed, response)


def _event(project: Project, caller: Actor, policy: ChangePolicy, at: datetime) -> AuditEvent:
    detail = {
        "requiresApprovalDefault": str(policy.requires_approval_default).lower(),
        "disableDestroyEnvironments": str(policy.disable_destroy_environments).lower(),
        "maxTtl": str(policy.max_ttl).lower(),
        "defaultTtl": str(policy.default_ttl).lower(),
    }
    subject, organization = str(project.id), project.organization_id
    return AuditEvent(at, caller.audit_name, "project.policy_changed", "project", subject, organization, detail)


def _answer(project: Project, response: Response) -> PolicyAnswer:
    tell_tag(response, project.updated_at)
    untouched = {"max_ttl": INHERIT, "default_ttl": INHERIT, "updated_by": ""}
    said = {**untouched, **project.policies}
    return PolicyAnswer(**said, id=project.id, project_id=project.id, updated_at=project.updated_at)
