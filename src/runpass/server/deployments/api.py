"""JSON routes of deployments, their steps and logs. Paths and fields are env0's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import JsonValue

from runpass.errors import InvalidInput
from runpass.protocol.reports import MAX_NUMBER
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import deciding, log_store
from runpass.server.deployments.answers import (
    DeploymentAnswer,
    LogEventAnswer,
    StepAnswer,
    StepLogAnswer,
    deployment_answer,
    step_answer,
)
from runpass.server.deployments.changing import count_end
from runpass.server.deployments.deciding import deployment_for
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.reporting import may_go_on
from runpass.server.deployments.transitions import Event
from runpass.server.http.wire import ShortText
from runpass.server.tenancy.lookup import environment_for

router = APIRouter(tags=["Environments and deployments"])
PAGE = 1_000
_POSITION: dict[str, JsonValue] = {"pattern": "^[0-9]{1,9}$", "maxLength": 9}
"""What the handler checks itself, with a sentence that says where such a text comes from."""


@router.get("/environments/deployments/{deployment_id}")
def get(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Give one deployment, with its outputs; a sensitive one has no value."""
    with desk.database.read() as tx:
        return _shown(tx, desk, deployment_id)


@router.put("/environments/deployments/{deployment_id}")
def approve(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Approve the plan of a deployment that waits for it; a runner takes it again and carries it out."""
    with desk.database.write() as tx:
        deployment = deciding.approve(tx, desk.cipher, desk.caller, deployment_id, desk.clock.now())
        answer = _shown(tx, desk, deployment_id)
    desk.wakeups.work_arrived(deployment.pool_id)
    return answer


@router.put("/environments/deployments/{deployment_id}/cancel")
def cancel(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Cancel a deployment that no runner has taken yet, or whose plan waits for an approval."""
    return _change(desk, deployment_id, Event.CANCEL)


@router.post("/environments/deployments/{deployment_id}/abort")
def abort(deployment_id: UUID, desk: AtDesk) -> DeploymentAnswer:
    """Abort a deployment that is going on; the runner learns of it with its next heartbeat."""
    return _change(desk, deployment_id, Event.ABORT)


@router.get("/deployments/{deployment_id}/steps")
def list_steps(deployment_id: UUID, desk: AtDesk) -> list[StepAnswer]:
    """List a deployment's steps in order."""
    with desk.database.read() as tx:
        deployment = deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
        return [step_answer(deployment, step) for step in log_store.list_steps(tx, deployment.id)]


@router.get("/deployments/{deployment_id}/steps/{step_name}/log")
def step_log(
    deployment_id: UUID,
    step_name: Annotated[ShortText, Path()],
    desk: AtDesk,
    start_time: Annotated[str, Query(alias="startTime", json_schema_extra=_POSITION)] = "0",
) -> StepLogAnswer:
    """Give a page of a step's log. `startTime` is the `nextStartTime` of an earlier answer."""
    after = _place(start_time)
    with desk.database.read() as tx:
        deployment = deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
        has_ended = log_store.step_has_ended(tx, deployment.id, step_name)  # before its events: none is missed so
        found = log_store.list_events(tx, deployment.id, step_name, after=after, limit=PAGE)
    events = [
        LogEventAnswer(event_id=f"{step_name}/{item.number}", message=item.message, level=item.level, timestamp=item.at)
        for item in found
    ]
    last = found[-1].number if found else after
    is_full, goes_on = len(found) == PAGE, may_go_on(deployment, step_name)
    # env0's CLI asks again at once, without a pause, for as long as an ended step has more.
    more = is_full or (goes_on and not has_ended)
    return StepLogAnswer(events=events, next_start_time=str(last) if is_full or goes_on else None, has_more_logs=more)


def _place(start_time: str) -> int:
    """Give the number of the last event that was read."""
    is_number = start_time.isascii() and start_time.isdigit() and len(start_time) <= len(str(MAX_NUMBER))
    if not is_number or int(start_time) > MAX_NUMBER:
        raise InvalidInput.of("startTime", "must be a nextStartTime of an earlier answer")
    return int(start_time)


def _change(desk: AtDesk, deployment_id: UUID, event: Event) -> DeploymentAnswer:
    with desk.database.write() as tx:
        changed = deciding.end(tx, desk.caller, deployment_id, event, desk.clock.now())
        answer = deployment_answer(tx, desk.cipher, changed)
    count_end(changed, changed.status)
    desk.wakeups.work_arrived(changed.pool_id)
    return answer


def _shown(tx: Transaction, desk: AtDesk, deployment_id: UUID) -> DeploymentAnswer:
    deployment = deployment_for(tx, desk.caller, deployment_id, Permission.VIEW_PROJECT)
    _, project = environment_for(tx, desk.caller, deployment.environment_id, Permission.VIEW_PROJECT)
    manages = desk.caller.may(Permission.MANAGE_CREDENTIALS, project.scope)
    return deployment_answer(tx, desk.cipher, deployment, with_expected=manages)
