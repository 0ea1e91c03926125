"""JSON routes of env0's schedules, which runpass does not have: every one of them is off, and stays off."""

from uuid import UUID

from fastapi import APIRouter

from runpass.errors import NotOffered
from runpass.server.access.permissions import Permission
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.environments.requests import DRIFT, DriftDetection
from runpass.server.http.wire import ApiModel, ShortText
from runpass.server.tenancy.lookup import environment_for

router = APIRouter(prefix="/scheduling", tags=["Environments and deployments"])


class DriftDetectionAnswer(ApiModel):
    """Response: whether drift is looked for."""

    enabled: bool = False


class Schedule(ApiModel):
    """One of env0's schedules."""

    enabled: bool | None = None
    cron: ShortText | None = None


class Schedules(ApiModel):
    """Request: when env0 would deploy and destroy by itself."""

    deploy: Schedule | None = None
    destroy: Schedule | None = None


class SchedulesAnswer(ApiModel):
    """Response: no schedules."""


@router.get("/drift-detection/environments/{environment_id}")
def drift_detection(environment_id: UUID, desk: AtDesk) -> DriftDetectionAnswer:
    """Say that drift is not looked for."""
    _check(desk, environment_id, Permission.VIEW_PROJECT)
    return DriftDetectionAnswer()


@router.patch("/drift-detection/environments/{environment_id}", responses={501: {}})
def change_drift_detection(environment_id: UUID, body: DriftDetection, desk: AtDesk) -> DriftDetectionAnswer:
    """Switch the search for drift off, as it is already. 501 for switching it on."""
    _check(desk, environment_id, Permission.EDIT_ENVIRONMENT_SETTINGS)
    if body.enabled:
        raise NotOffered(DRIFT)
    return DriftDetectionAnswer()


@router.get("/environments/{environment_id}")
def schedules(environment_id: UUID, desk: AtDesk) -> SchedulesAnswer:
    """Give an environment's schedules: none."""
    _check(desk, environment_id, Permission.VIEW_PROJECT)
    return SchedulesAnswer()


@router.put("/environments/{environment_id}", responses={501: {}})
def change_schedules(environment_id: UUID, body: Schedules, desk: AtDesk) -> SchedulesAnswer:
    """Take all schedules away, which changes nothing. 501 for a new one."""
    _check(desk, environment_id, Permission.EDIT_ENVIRONMENT_SETTINGS)
    if any(item is not None and (item.cron or item.enabled) for item in (body.deploy, body.destroy)):
        raise NotOffered("runpass deploys and destroys by no schedule: let a scheduler of yours call its API")
    return SchedulesAnswer()


def _check(desk: AtDesk, environment_id: UUID, permission: Permission) -> None:
    with desk.database.read() as tx:
        environment_for(tx, desk.caller, environment_id, permission)
