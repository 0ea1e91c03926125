"""Approval: when a plan has to be approved before anything is changed, who may ask for what, and the approving itself.

SECURITY: each ground can only add an approval. Nothing that a caller sends, sets or leaves out takes one away.
"""

from dataclasses import dataclass
from datetime import datetime

from runpass.errors import Conflict, Forbidden, InvalidInput
from runpass.protocol.wire import encode
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.inputs import inputs_of, inputs_place
from runpass.server.deployments.model import Deployment, DeploymentType, Inputs
from runpass.server.deployments.reporting import planned_commit
from runpass.server.deployments.transitions import Event, after, approved_phase
from runpass.server.templates.steps import CHECKOUT_STEP, checkout_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What may make an approval necessary."""

    environment_requires: bool
    policy_requires: bool
    """That of the organization, or of any project of the environment's path."""
    is_asked_for: bool
    starter_may_apply: bool

    @property
    def by_policy(self) -> bool:
        """Whether somebody other than the starter decided so."""
        return self.environment_requires or self.policy_requires


@dataclass(frozen=True, slots=True, kw_only=True)
class Departures:
    """In what a request departs from what the environment's template says."""

    template: bool
    repository: bool
    revision: bool
    variables: bool


def needs_approval(grounds: Grounds) -> bool:
    """Whether the plan must be approved before anything is changed."""
    return grounds.by_policy or grounds.is_asked_for or not grounds.starter_may_apply


def check_starter(actor: Actor, scope: ScopePath, kind: DeploymentType, departs: Departures) -> None:
    """Raise `Forbidden` if this actor may not start such a deployment here.

    SECURITY: a plan runs code with the environment's secrets, so who may only plan decides nothing of what is run.
    """
    if kind is DeploymentType.TASK:
        actor.require(Permission.RUN_TASK, scope)
    actor.require(Permission.RUN_PLAN, scope)
    if departs.repository or departs.revision:
        actor.require(Permission.DEPLOY_CUSTOM_REVISION, scope)
    if (departs.template or departs.repository or departs.revision or departs.variables) and not actor.may(
        Permission.RUN_APPLY, scope
    ):
        raise Forbidden(
            f"who may only plan cannot change template, code or variables: this needs {Permission.RUN_APPLY.value}"
        )


def check_task(actor: Actor, organization: ScopePath, grounds: Grounds) -> None:
    """Raise for a task that would go around an approval: it has no plan that somebody could look at."""
    if grounds.is_asked_for:
        raise InvalidInput.of("userRequiresApproval", "cannot be true for a task: it has no plan to approve")
    if grounds.by_policy and not actor.may(Permission.RUN_TASK, organization):
        raise Forbidden("deployments here need an approval, and only an organization's admin runs tasks without one")


def approve(tx: Transaction, cipher: Cipher, deployment: Deployment, reviewer: Actor, now: datetime) -> None:
    """Approve a plan: a runner takes the deployment again, with the very inputs and the commit that were planned with.

    Raises `Conflict` for a deployment that waits for no approval, or no longer, or whose commit nobody knows.
    """
    after(deployment.status, Event.APPROVE)
    inputs = _at_planned_commit(tx, deployment, inputs_of(tx, cipher, deployment))
    run = inputs.run.model_copy(update={"reviewer_name": reviewer.name, "reviewer_id": reviewer.id})
    place = inputs_place(deployment.id, deployment.organization_id)
    values = {
        "phase": approved_phase(deployment.type).value,
        "reviewed_by": reviewer.audit_name,
        "reviewed_at": now,
        "inputs_sealed": cipher.seal(encode(inputs.model_copy(update={"run": run})), place),
    }
    change_state(tx, deployment, Event.APPROVE, by=reviewer.audit_name, now=now, values=values)


def _at_planned_commit(tx: Transaction, deployment: Deployment, inputs: Inputs) -> Inputs:
    """Give inputs that bring the commit that was planned, wherever its branch has moved since."""
    if not any(command.step == CHECKOUT_STEP for command in inputs.commands):
        return inputs
    commit = planned_commit(tx, deployment.id)
    if commit is None:  # SECURITY: fail closed, or something else could be applied than was looked at
        raise Conflict("it is not known which commit was planned", hint="cancel this deployment and deploy again")
    # SECURITY: the repository of the sealed inputs, not that of the column beside them, which is for answers.
    pinned = checkout_of(inputs.run.repository or "", commit)
    commands = tuple(pinned if command.step == CHECKOUT_STEP else command for command in inputs.commands)
    return inputs.model_copy(update={"commands": commands, "commit": commit})
