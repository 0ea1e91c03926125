"""JSON routes of deployments, their steps and logs. Paths and fields are env0's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from runpass.errors import InvalidInput, NotFound
from runpass.ids import DeploymentId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import log_store, store
from runpass.server.deployments.answers import (
    DeploymentAnswer,
    LogEventAnswer,
    StepAnswer,
    StepLogAnswer,
    deployment_answer,
    step_answer,
)
from runpass.server.deployments.changing import change_state, count_end
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.transitions import FINAL, Event
from runpass.server.http.wire import ShortText
from runpass.server.tenancy.lookup import project_for

router = APIRouter(tags=["Environments and deployments"])
PAGE = 1_000


@router.get("/environments/deployments/{deployment_id}")
def get(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Give one deployment."""
    with desk.database.read() as tx:
        return deployment_answer(_deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT))


@router.put("/environments/deployments/{deployment_id}/cancel")
def cancel(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Cancel a deployment that no runner has taken yet."""
    return _change(desk, deployment_id, Event.CANCEL)


@router.post("/environments/deployments/{deployment_id}/abort")
def abort(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Abort a deployment that is going on; the runner learns of it with its next heartbeat."""
    return _change(desk, deployment_id, Event.ABORT)


@router.get("/deployments/{deployment_id}/steps")
def list_steps(deployment_id: UUID, desk: AtDesk) -> list[StepAnswer]:
    """List a deployment's steps in order."""
    with desk.database.read() as tx:
        deployment = _deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
        return [step_answer(deployment, step) for step in log_store.list_steps(tx, deployment.id)]


@router.get("/deployments/{deployment_id}/steps/{step_name}/log")
def step_log(
    deployment_id: UUID,
    step_name: Annotated[ShortText, Path()],
    desk: AtDesk,
    start_time: Annotated[str, Query(alias="startTime")] = "0",
) -> StepLogAnswer:
    """Give a page of a step's log."""
    if not (start_time.isascii() and start_time.isdigit() and len(start_time) < 10):  # noqa: PLR2004
        raise InvalidInput.of("startTime", "must be a nextStartTime of an earlier answer")
    after = int(start_time)
    with desk.database.read() as tx:
        deployment = _deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
        found = log_store.list_events(tx, deployment.id, step_name, after=after, limit=PAGE)
    events = [
        LogEventAnswer(event_id=f"{step_name}/{item.number}", message=item.message, level=item.level, timestamp=item.at)
        for item in found
    ]
    last = found[-1].number if found else after
    more = len(found) == PAGE or deployment.status not in FINAL
    return StepLogAnswer(events=events, next_start_time=str(last) if more else None, has_more_logs=more)


def _change(desk: AtDesk, deployment_id: UUID, event: Event) -> DeploymentAnswer:
    with desk.database.write() as tx:
        deployment = _deployment_for(tx, desk.caller, deployment_id, Permission.ABORT_DEPLOYMENT)
        if not (event is Event.ABORT and deployment.status is DeploymentStatus.ABORTING):
            change_state(tx, deployment, event, by=desk.caller.audit_name, now=desk.clock.now())
        changed = _deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
    count_end(changed, changed.status)
    desk.wakeups.work_arrived(changed.pool_id)
    return deployment_answer(changed)


def _deployment_for(tx: Transaction, caller: Actor, deployment_id: UUID, permission: Permission) -> Deployment:
    deployment = store.get_deployment(tx, caller.organization_id, DeploymentId(deployment_id))
    if deployment is None:
        raise NotFound("there is no such deployment")
    try:
        project_for(tx, caller, deployment.project_id, permission)
    except NotFound as error:
        raise NotFound("there is no such deployment") from error
    return deployment
