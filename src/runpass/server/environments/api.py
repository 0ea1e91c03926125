"""JSON routes of environments: they live here because making one queues a deployment. Paths and fields are env0's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.errors import InvalidInput, NotFound
from runpass.ids import ProjectId
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.answers import DeploymentAnswer, deployment_answers
from runpass.server.deployments.changing import count_end
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.environments.answers import EnvironmentAnswer, environment_answer, environment_answers
from runpass.server.environments.changes import change_environment
from runpass.server.environments.creating import create as make
from runpass.server.environments.creating import create_without_template as make_without_template
from runpass.server.environments.idempotency import Once, do_once
from runpass.server.environments.requests import ChangeEnvironment, CreateEnvironment
from runpass.server.environments.without_template import CreateWithoutTemplate
from runpass.server.http.dependencies import Offset
from runpass.server.http.preconditions import IfMatch
from runpass.server.http.wire import ShortText
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.environment_store import Wanted
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.tenancy.visibility import visible_to

router = APIRouter(prefix="/environments", tags=["Environments and deployments"])
Limit = Annotated[int, Query(ge=1, le=1000)]
NameQuery = Annotated[ShortText, Query()]


@router.get("")
def list_all(  # noqa: PLR0913, PLR0917 -- one parameter for each of env0's query fields
    desk: AtDesk,
    project_id: Annotated[UUID | None, Query(alias="projectId")] = None,
    organization_id: Annotated[UUID | None, Query(alias="organizationId")] = None,
    name: NameQuery | None = None,
    is_active: Annotated[bool | None, Query(alias="isActive", description="Those that are not archived.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[EnvironmentAnswer]:
    """List the environments of a project, or of all projects that the caller may see, oldest first."""
    if project_id is None and organization_id is None:
        raise InvalidInput.of("projectId", "one of projectId and organizationId is required")
    caller = desk.caller
    if organization_id is not None and organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    places = caller.projects_with(Permission.VIEW_PROJECT)
    if project_id is None and places is not None and not places:
        return []
    with desk.database.read() as tx:
        if project_id is not None:
            project = project_for(tx, caller, ProjectId(project_id), Permission.VIEW_PROJECT)
            wanted = Wanted(project_id=project.id, name=name, is_active=is_active)
        else:
            visible = None if places is None else visible_to(tx, caller)
            wanted = Wanted(visible=visible, name=name, is_active=is_active)
        found = environment_store.list_environments(tx, caller.organization_id, wanted, limit=limit, offset=offset)
        return environment_answers(tx, found)


@router.get("/{environment_id}")
def get(environment_id: UUID, desk: AtDesk, response: Response) -> EnvironmentAnswer:
    """Give one environment; also one that was destroyed or archived, or whose project was deleted."""
    with desk.database.read() as tx:
        environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
        return environment_answer(tx, desk.cipher, environment, response)


@router.post("", status_code=201, responses={501: {}})
def create(body: CreateEnvironment, desk: AtDesk, asked: Once, response: Response) -> EnvironmentAnswer:
    """Make an environment and queue its first deployment."""
    done = do_once(desk, asked, response, lambda tx, remember: make(tx, desk, body, remember))
    with desk.database.read() as tx:
        return environment_answer(tx, desk.cipher, done.environment, response)


@router.post("/without-template", status_code=201, responses={501: {}})
def create_without_template(
    body: CreateWithoutTemplate, desk: AtDesk, asked: Once, response: Response
) -> EnvironmentAnswer:
    """Make an environment with a template of its own, and queue its first deployment."""
    done = do_once(desk, asked, response, lambda tx, remember: make_without_template(tx, desk, body, remember))
    with desk.database.read() as tx:
        return environment_answer(tx, desk.cipher, done.environment, response)


@router.put("/{environment_id}")
def change(
    environment_id: UUID, body: ChangeEnvironment, desk: AtDesk, response: Response, if_match: IfMatch = None
) -> EnvironmentAnswer:
    """Change an environment's name and settings, or archive it, which cancels what is queued."""
    with desk.database.write() as tx:
        cancelled = change_environment(tx, desk, environment_id, body, if_match=if_match)
        answer = _current(tx, desk, environment_id, response)
    for deployment in cancelled:
        count_end(deployment, deployment.status)
    return answer


@router.get("/{environment_id}/deployments")
def list_deployments(
    environment_id: UUID, desk: AtDesk, limit: Limit = 100, offset: Offset = 0
) -> list[DeploymentAnswer]:
    """List an environment's deployments, newest first."""
    with desk.database.read() as tx:
        environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
        return deployment_answers(tx, store.list_deployments(tx, environment.id, limit=limit, offset=offset))


def _current(tx: Transaction, desk: AtDesk, environment_id: UUID, response: Response) -> EnvironmentAnswer:
    environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
    return environment_answer(tx, desk.cipher, environment, response)
