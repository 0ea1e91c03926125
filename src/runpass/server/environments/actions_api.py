"""JSON routes of what is done with an environment: deploy, destroy, give it a lifespan, move. Paths are env0's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.errors import RunpassError
from runpass.server.access.permissions import Permission
from runpass.server.deployments.answers import DeploymentAnswer, deployment_answer
from runpass.server.deployments.dependencies import AtDesk, Desk
from runpass.server.environments.answers import EnvironmentAnswer, environment_answer
from runpass.server.environments.changes import change_lifespan
from runpass.server.environments.changes import move as move_environment
from runpass.server.environments.idempotency import Done, Once, do_once
from runpass.server.environments.lifespans import Ttl
from runpass.server.environments.queueing import queue_deploy, queue_destroy
from runpass.server.environments.requests import Deploy, Destroy, MoveEnvironment
from runpass.server.http.preconditions import IfMatch
from runpass.server.http.wire import ShortText
from runpass.server.tenancy.lookup import environment_for

router = APIRouter(prefix="/environments", tags=["Environments and deployments"])
Ignored = Annotated[ShortText | None, Query(description="env0's clients send it. It changes nothing here.")]


@router.post("/{environment_id}/deployments", status_code=201, responses={501: {}})
def deploy(environment_id: UUID, body: Deploy, desk: AtDesk, asked: Once, response: Response) -> DeploymentAnswer:
    """Queue a deployment."""
    body.check_offered()

    done = do_once(desk, asked, response, lambda tx, remember: queue_deploy(tx, desk, environment_id, body, remember))
    return _queued(desk, done)


@router.post("/{environment_id}/destroy", status_code=201)
def destroy(  # noqa: PLR0913, PLR0917 -- one parameter for each of env0's query fields
    environment_id: UUID,
    desk: AtDesk,
    asked: Once,
    response: Response,
    body: Destroy | None = None,
    skip_state_refresh: Annotated[Ignored, Query(alias="skipStateRefresh")] = None,  # noqa: ARG001 -- env0's
    checkout_updated_code: Annotated[Ignored, Query(alias="checkoutUpdatedCode")] = None,  # noqa: ARG001 -- env0's
) -> DeploymentAnswer:
    """Queue the destruction of an environment, with the code of its last deploy. 400 if nothing is left of it."""
    wanted = body or Destroy()
    done = do_once(
        desk, asked, response, lambda tx, remember: queue_destroy(tx, desk, environment_id, wanted, remember)
    )
    return _queued(desk, done)


@router.put("/{environment_id}/ttl")
def set_ttl(
    environment_id: UUID, body: Ttl, desk: AtDesk, response: Response, if_match: IfMatch = None
) -> EnvironmentAnswer:
    """Decide when an environment is destroyed by itself."""
    with desk.database.write() as tx:
        change_lifespan(tx, desk, environment_id, body, if_match=if_match)
        environment, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
        return environment_answer(tx, desk.cipher, environment, response)


@router.post("/{environment_id}/move")
def move(environment_id: UUID, body: MoveEnvironment, desk: AtDesk, response: Response) -> EnvironmentAnswer:
    """Put an environment into another project, with its variables. Its template must be assigned there."""
    with desk.database.write() as tx:
        environment = move_environment(tx, desk, environment_id, body)
        return environment_answer(tx, desk.cipher, environment, response)


def _queued(desk: Desk, done: Done) -> DeploymentAnswer:
    if done.deployment is None:
        raise RunpassError("a deployment was remembered without its id")
    with desk.database.read() as tx:
        return deployment_answer(tx, desk.cipher, done.deployment)
