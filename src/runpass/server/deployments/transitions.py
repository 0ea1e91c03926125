"""The state machine of a deployment: one table, no way out of a final state."""

from collections.abc import Mapping
from enum import StrEnum

from runpass.errors import Conflict
from runpass.protocol.reports import Outcome
from runpass.server.deployments.model import DeploymentStatus as Status
from runpass.server.tenancy.model import EnvironmentStatus


class Event(StrEnum):
    """What can happen to a deployment."""

    TAKE = "take"
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time out"
    BREAK = "break"
    ABORT = "abort"
    ABORTED = "report as aborted"
    LOSE = "lose its runner"
    RETURN = "go back to the queue"
    CANCEL = "cancel"


TABLE: Mapping[tuple[Status, Event], Status] = {
    (Status.QUEUED, Event.TAKE): Status.IN_PROGRESS,
    (Status.QUEUED, Event.CANCEL): Status.CANCELLED,
    (Status.IN_PROGRESS, Event.SUCCEED): Status.SUCCESS,
    (Status.IN_PROGRESS, Event.FAIL): Status.FAILURE,
    (Status.IN_PROGRESS, Event.TIME_OUT): Status.TIMEOUT,
    (Status.IN_PROGRESS, Event.BREAK): Status.INTERNAL_FAILURE,
    (Status.IN_PROGRESS, Event.ABORT): Status.ABORTING,
    (Status.IN_PROGRESS, Event.ABORTED): Status.ABORTED,
    (Status.IN_PROGRESS, Event.LOSE): Status.INTERNAL_FAILURE,
    (Status.IN_PROGRESS, Event.RETURN): Status.QUEUED,
    (Status.ABORTING, Event.ABORT): Status.ABORTING,
    (Status.ABORTING, Event.ABORTED): Status.ABORTED,
    (Status.ABORTING, Event.SUCCEED): Status.SUCCESS,
    (Status.ABORTING, Event.FAIL): Status.FAILURE,
    (Status.ABORTING, Event.TIME_OUT): Status.TIMEOUT,
    (Status.ABORTING, Event.BREAK): Status.INTERNAL_FAILURE,
    (Status.ABORTING, Event.LOSE): Status.INTERNAL_FAILURE,
}

FINAL = frozenset(
    {
        Status.SUCCESS,
        Status.FAILURE,
        Status.TIMEOUT,
        Status.CANCELLED,
        Status.INTERNAL_FAILURE,
        Status.ABORTED,
        Status.SKIPPED,
        Status.NEVER_DEPLOYED,
    }
)

OUTCOMES: Mapping[Outcome, Event] = {
    Outcome.SUCCESS: Event.SUCCEED,
    Outcome.FAILURE: Event.FAIL,
    Outcome.TIMEOUT: Event.TIME_OUT,
    Outcome.ABORTED: Event.ABORTED,
    Outcome.INTERNAL_FAILURE: Event.BREAK,
}

_ENVIRONMENT: Mapping[Status, EnvironmentStatus] = {
    Status.IN_PROGRESS: EnvironmentStatus.DEPLOY_IN_PROGRESS,
    Status.WAITING_FOR_USER: EnvironmentStatus.WAITING_FOR_USER,
    Status.ABORTING: EnvironmentStatus.ABORTING,
    Status.SUCCESS: EnvironmentStatus.ACTIVE,
    Status.FAILURE: EnvironmentStatus.FAILED,
    Status.INTERNAL_FAILURE: EnvironmentStatus.FAILED,
    Status.TIMEOUT: EnvironmentStatus.TIMEOUT,
    Status.ABORTED: EnvironmentStatus.ABORTED,
}


def after(status: Status, event: Event) -> Status:
    """Give the state that follows. Raises `Conflict` with a sentence when this cannot happen now."""
    try:
        return TABLE[(status, event)]
    except KeyError:
        raise Conflict(f"a deployment that is {status.value} cannot {event.value}") from None


def environment_status(status: Status | None) -> EnvironmentStatus | None:
    """Give what a deployment's new state makes of its environment; None where it changes nothing."""
    return None if status is None else _ENVIRONMENT.get(status)
