"""JSON routes of environments: they live here because making one queues a deployment."""

import secrets
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from runpass.errors import InvalidInput, NotFound
from runpass.ids import EnvironmentId, ProjectId, TemplateId, new_id
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.answers import (
    DeploymentAnswer,
    EnvironmentAnswer,
    deployment_answer,
    environment_answer,
)
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.queue import queue_deployment, runnable_template
from runpass.server.deployments.requests import CreateEnvironment, Deploy, save_changes
from runpass.server.http.wire import ShortText
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.tenancy.model import Environment, EnvironmentStatus
from runpass.server.tenancy.store import list_projects

router = APIRouter(prefix="/environments", tags=["Environments and deployments"])
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
NameQuery = Annotated[ShortText, Query()]


@router.get("")
def list_all(  # noqa: PLR0917 -- one parameter for each of env0's query fields
    desk: AtDesk,
    project_id: Annotated[UUID | None, Query(alias="projectId")] = None,
    organization_id: Annotated[UUID | None, Query(alias="organizationId")] = None,
    name: NameQuery | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[EnvironmentAnswer]:
    """List the environments of a project, or of all projects that the caller may see."""
    if project_id is None and organization_id is None:
        raise InvalidInput.of("projectId", "one of projectId and organizationId is required")
    with desk.database.read() as tx:
        visible = _visible(tx, desk.caller, ProjectId(project_id) if project_id else None, organization_id)
        found = environment_store.list_environments(
            tx, desk.caller.organization_id, visible, name=name, limit=limit, offset=offset
        )
        latest = store.latest_deployments(tx, [item.id for item in found])
    return [environment_answer(item, latest.get(item.id)) for item in found]


@router.get("/{environment_id}")
def get(environment_id: UUID, desk: AtDesk) -> EnvironmentAnswer:
    """Give one environment."""
    with desk.database.read() as tx:
        environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
        return _with_latest(tx, environment)


@router.post("", status_code=201)
def create(body: CreateEnvironment, desk: AtDesk) -> EnvironmentAnswer:
    """Make an environment and queue its first deployment."""
    now = desk.clock.now()
    with desk.database.write() as tx:
        project = project_for(tx, desk.caller, body.project_id, Permission.RUN_DEPLOY)
        template = body.deploy_request.blueprint_id
        if template is not None:
            runnable_template(tx, project, TemplateId(template))
        environment = Environment(
            id=EnvironmentId(new_id()),
            organization_id=project.organization_id,
            project_id=project.id,
            template_id=TemplateId(template) if template else None,
            name=body.name,
            workspace_name=body.workspace_name or f"env0{secrets.token_hex(4)}",
            status=EnvironmentStatus.CREATED,
            is_archived=False,
            settings={},
            created_by=desk.caller.audit_name,
            created_at=now,
            updated_at=now,
        )
        environment_store.insert_environment(tx, environment)
        subject = str(environment.id)
        detail = {"name": environment.name, "projectId": str(project.id)}
        by, organization = desk.caller.audit_name, project.organization_id
        record(tx, AuditEvent(now, by, "environment.created", "environment", subject, organization, detail))
        changes = (body.configuration_changes or ()) + (body.deploy_request.configuration_changes or ())
        save_changes(tx, desk.cipher, environment, changes, caller=desk.caller, clock=desk.clock)
        queued = None
        if not body.prevent_auto_deploy:
            queued = queue_deployment(tx, desk.queueing, environment, project, body.deploy_request.wanted())
    if queued:
        desk.wakeups.work_arrived(queued.pool_id)
    return environment_answer(environment, queued)


@router.post("/{environment_id}/deployments", status_code=201)
def deploy(environment_id: UUID, body: Deploy, desk: AtDesk) -> DeploymentAnswer:
    """Queue a deployment."""
    with desk.database.write() as tx:
        environment, project = environment_for(tx, desk.caller, environment_id, Permission.RUN_DEPLOY)
        changes = body.configuration_changes
        save_changes(tx, desk.cipher, environment, changes, caller=desk.caller, clock=desk.clock)
        queued = queue_deployment(tx, desk.queueing, environment, project, body.wanted())
    desk.wakeups.work_arrived(queued.pool_id)
    return deployment_answer(queued)


@router.get("/{environment_id}/deployments")
def list_deployments(
    environment_id: UUID, desk: AtDesk, limit: Limit = 100, offset: Offset = 0
) -> list[DeploymentAnswer]:
    """List an environment's deployments, newest first."""
    with desk.database.read() as tx:
        environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
        found = store.list_deployments(tx, environment.id, limit=limit, offset=offset)
    return [deployment_answer(item) for item in found]


def _visible(
    tx: Transaction, caller: Actor, project_id: ProjectId | None, organization_id: UUID | None
) -> set[ProjectId] | None:
    """Give the projects to look into; None for all, because a database takes only so many parameters."""
    if organization_id is not None and organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    if project_id is not None:
        return {project_for(tx, caller, project_id, Permission.VIEW_PROJECT).id}
    if caller.may(Permission.VIEW_PROJECT, ScopePath(caller.organization_id)):
        return None
    projects = list_projects(tx, caller.organization_id)
    return {project.id for project in projects if caller.may(Permission.VIEW_PROJECT, project.scope)}


def _with_latest(tx: Transaction, environment: Environment) -> EnvironmentAnswer:
    latest = store.latest_deployments(tx, [environment.id])
    return environment_answer(environment, latest.get(environment.id))
