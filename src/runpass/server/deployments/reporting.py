"""What a runner reports, as it is kept: steps named by phase, and logs no larger than they may become."""

from collections.abc import Sequence
from itertools import accumulate

from runpass.ids import DeploymentId
from runpass.protocol.reports import LogEvent, LogLevel, Report, Step
from runpass.protocol.run_lease import Phase
from runpass.server.db.engine import Transaction
from runpass.server.deployments import log_store
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.transitions import FINAL
from runpass.server.templates.steps import CHECKOUT_STEP, told_commit

PLAN_PREFIX = "plan:"
"""Of the steps of a plan that somebody is to approve: the lease after it has steps of the same names."""

MOST_STEPS = 1_000
"""Steps of one deployment. A run has a few hundred at most; beyond that a runner makes them up."""

_MAX_NAME = 128
_MAX_ORDER = 2_147_483_647


def named(step: str, phase: Phase) -> str:
    """Give the name that a step of this phase is kept under."""
    if phase is not Phase.PLAN or step.startswith(PLAN_PREFIX):
        return step
    return f"{PLAN_PREFIX}{step}"[:_MAX_NAME]


def may_go_on(deployment: Deployment, step: str) -> bool:
    """Whether more may still be said in the log of this step."""
    if step.startswith(PLAN_PREFIX) and deployment.requires_approval:
        return deployment.phase is Phase.PLAN and deployment.status not in {*FINAL, DeploymentStatus.WAITING_FOR_USER}
    return deployment.status not in FINAL


def planned_commit(tx: Transaction, deployment_id: DeploymentId) -> str | None:
    """Give the commit that the plan's checkout told at its end.

    No code of the repository runs in that step, so nobody but git writes there.
    """
    step = named(CHECKOUT_STEP, Phase.PLAN)
    last = log_store.last_number(tx, deployment_id, step)
    found = log_store.list_events(tx, deployment_id, step, after=last - 1, limit=1)
    return told_commit(found[0].message) if found else None


def keep_report(tx: Transaction, deployment: Deployment, report: Report, max_log_bytes: int) -> None:
    """Store the steps and events of a report; of the events, those that the deployment's log still has room for."""
    if report.steps:
        earlier = _earlier_steps(tx, deployment)
        steps = [_kept(step, deployment.phase, earlier) for step in report.steps]
        log_store.save_steps(tx, deployment.organization_id, deployment.id, _with_room(tx, deployment, steps))
    if report.events:
        _keep_events(tx, deployment, report.events, max_log_bytes)


def _with_room(tx: Transaction, deployment: Deployment, steps: Sequence[Step]) -> Sequence[Step]:
    """Give the steps that are known already, and of new ones as many as there is room for."""
    room = MOST_STEPS - log_store.count_steps(tx, deployment.id, "")
    if len(steps) <= room:
        return steps
    known = {step.name for step in log_store.list_steps(tx, deployment.id)}
    new = list(dict.fromkeys(step.name for step in steps if step.name not in known))
    fitting = known | set(new[: max(room, 0)])
    return [step for step in steps if step.name in fitting]


def _keep_events(tx: Transaction, deployment: Deployment, reported: Sequence[LogEvent], limit: int) -> None:
    events = [event.model_copy(update={"step": named(event.step, deployment.phase)}) for event in reported]
    room = limit - deployment.log_bytes
    if room <= 0:
        return
    if sum(map(log_store.size_of, events)) <= room:
        log_store.count_log_bytes(tx, deployment.id, log_store.save_events(tx, deployment.id, events))
        return
    known = log_store.known_events(tx, deployment.id, events)  # a repeat needs no room
    new = [event for event in events if (event.step, event.number) not in known]
    fitting = sum(end <= room for end in accumulate(map(log_store.size_of, new)))
    size = log_store.save_events(tx, deployment.id, new[:fitting])
    if fitting < len(new):
        # SECURITY: it counts as full from now on, even if something smaller would fit: what is cut has one end.
        size = max(room, log_store.save_events(tx, deployment.id, [_cut(new[fitting], limit)]))
    log_store.count_log_bytes(tx, deployment.id, size)


def _cut(event: LogEvent, limit: int) -> LogEvent:
    """Give the line that stands in the place of the first one that there was no room for."""
    sentence = f"The log of this deployment is full ({limit} bytes): what follows is not kept."
    return event.model_copy(update={"level": LogLevel.SYSTEM, "message": sentence})


def _earlier_steps(tx: Transaction, deployment: Deployment) -> int:
    """Give how many steps the plan had that was approved: the others come behind them."""
    if not deployment.requires_approval or deployment.phase is Phase.PLAN:
        return 0
    return log_store.count_steps(tx, deployment.id, PLAN_PREFIX)


def _kept(step: Step, phase: Phase, earlier: int) -> Step:
    order = min(step.order + earlier, _MAX_ORDER)
    return step.model_copy(update={"name": named(step.name, phase), "order": order})
