"""The state machine of a deployment: one table, no way out of a final state."""

from collections.abc import Mapping
from enum import StrEnum

from runpass.errors import Conflict
from runpass.protocol.reports import Outcome
from runpass.protocol.run_lease import Phase
from runpass.server.deployments.model import DeploymentStatus as Status
from runpass.server.deployments.model import DeploymentType
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
    RETURN_APPROVED = "go back to the queue as approved"
    WAIT = "wait for an approval"
    APPROVE = "be approved"
    CANCEL = "cancel"


TABLE: Mapping[tuple[Status, Event], Status] = {
    (Status.QUEUED, Event.TAKE): Status.IN_PROGRESS,
    (Status.QUEUED, Event.CANCEL): Status.CANCELLED,
    (Status.WAITING_FOR_USER, Event.APPROVE): Status.APPROVED,
    (Status.WAITING_FOR_USER, Event.CANCEL): Status.CANCELLED,
    (Status.APPROVED, Event.TAKE): Status.IN_PROGRESS,
    (Status.APPROVED, Event.CANCEL): Status.CANCELLED,
    (Status.IN_PROGRESS, Event.WAIT): Status.WAITING_FOR_USER,
    (Status.IN_PROGRESS, Event.SUCCEED): Status.SUCCESS,
    (Status.IN_PROGRESS, Event.FAIL): Status.FAILURE,
    (Status.IN_PROGRESS, Event.TIME_OUT): Status.TIMEOUT,
    (Status.IN_PROGRESS, Event.BREAK): Status.INTERNAL_FAILURE,
    (Status.IN_PROGRESS, Event.ABORT): Status.ABORTING,
    (Status.IN_PROGRESS, Event.ABORTED): Status.ABORTED,
    (Status.IN_PROGRESS, Event.LOSE): Status.INTERNAL_FAILURE,
    (Status.IN_PROGRESS, Event.RETURN): Status.QUEUED,
    (Status.IN_PROGRESS, Event.RETURN_APPROVED): Status.APPROVED,
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

CANCELLABLE = frozenset(status for status, event in TABLE if event is Event.CANCEL)

_IN_PROGRESS: Mapping[DeploymentType, EnvironmentStatus] = {
    DeploymentType.DEPLOY: EnvironmentStatus.DEPLOY_IN_PROGRESS,
    DeploymentType.DESTROY: EnvironmentStatus.DESTROY_IN_PROGRESS,
    DeploymentType.TASK: EnvironmentStatus.TASK_IN_PROGRESS,
}

_ENDED: Mapping[Status, EnvironmentStatus] = {
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
        if status is Status.APPROVED:  # clients see it as IN_PROGRESS, which could be aborted
            sentence = f"a deployment that is approved and has no runner yet cannot {event.value}"
            raise Conflict(sentence, hint="cancel it") from None
        raise Conflict(f"a deployment that is {status.value} cannot {event.value}") from None


def event_of(status: Status, phase: Phase, outcome: Outcome) -> Event:
    """Give what happens to a deployment whose runner reports this outcome of this phase.

    A plan that succeeded waits for its approval; if it was to be aborted meanwhile, it was: nothing has been applied.
    """
    if phase is Phase.PLAN and outcome is Outcome.SUCCESS:
        return Event.ABORTED if status is Status.ABORTING else Event.WAIT
    return OUTCOMES[outcome]


def phase_of(kind: DeploymentType, *, requires_approval: bool) -> Phase:
    """Give what the first runner that takes such a deployment does."""
    if kind is DeploymentType.TASK:
        return Phase.TASK
    if requires_approval:
        return Phase.PLAN
    return approved_phase(kind)


def approved_phase(kind: DeploymentType) -> Phase:
    """Give what follows an approved plan."""
    return Phase.DESTROY if kind is DeploymentType.DESTROY else Phase.APPLY


def environment_while(status: Status, kind: DeploymentType) -> EnvironmentStatus | None:
    """Give what an environment is while a deployment of it is in this state; None where that says nothing."""
    match status:
        case Status.IN_PROGRESS | Status.APPROVED:
            return _IN_PROGRESS[kind]
        case Status.WAITING_FOR_USER:
            return EnvironmentStatus.WAITING_FOR_USER
        case Status.ABORTING:
            return EnvironmentStatus.ABORTING
        case _:
            return None


def environment_after(status: Status, kind: DeploymentType) -> EnvironmentStatus | None:
    """Give what a deploy or destroy that ended so made of its environment; None for one that changed nothing."""
    if kind is DeploymentType.TASK:
        return None
    if status is Status.SUCCESS:
        return EnvironmentStatus.INACTIVE if kind is DeploymentType.DESTROY else EnvironmentStatus.ACTIVE
    return _ENDED.get(status)
