"""A deployment as its page shows it: words for its state, names, and what the visitor may do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.runners import runner_pools
from runpass.server.deployments import log_store
from runpass.server.deployments.answers import RefusalAnswer, refusal_answer
from runpass.server.deployments.log_view import Log, StepView, lasted, step_view
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType
from runpass.server.deployments.outputs import shown_outputs
from runpass.server.deployments.passes import Pass, pass_of
from runpass.server.deployments.transitions import CANCELLABLE, FINAL
from runpass.server.templates.store import get_template
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.model import Environment, Project

STATUS: Final = {
    DeploymentStatus.QUEUED: "Waits for a runner",
    DeploymentStatus.IN_PROGRESS: "Going on",
    DeploymentStatus.WAITING_FOR_USER: "Waits for an approval",
    DeploymentStatus.APPROVED: "Approved, waits for a runner",
    DeploymentStatus.SUCCESS: "Succeeded",
    DeploymentStatus.FAILURE: "Failed",
    DeploymentStatus.TIMEOUT: "Took too long",
    DeploymentStatus.CANCELLED: "Cancelled",
    DeploymentStatus.INTERNAL_FAILURE: "Lost its runner, or broke",
    DeploymentStatus.ABORTING: "Being aborted",
    DeploymentStatus.ABORTED: "Aborted",
    DeploymentStatus.SKIPPED: "Skipped",
    DeploymentStatus.NEVER_DEPLOYED: "Never deployed",
}
TYPES: Final = {
    DeploymentType.DEPLOY: "Deployment",
    DeploymentType.DESTROY: "Destruction",
    DeploymentType.TASK: "Task",
}
_WRONG: Final = frozenset({DeploymentStatus.FAILURE, DeploymentStatus.TIMEOUT, DeploymentStatus.INTERNAL_FAILURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """What the upper part of the page shows."""

    deployment: Deployment
    environment: Environment
    project: Project
    status: str
    kind: str
    tone: str
    """The class of the state's colour."""
    started_by: User
    reviewed_by: User | None
    template: str
    pool: str
    lasted: str
    steps: Sequence[StepView]
    refusal: RefusalAnswer | None
    sees_expected: bool
    outputs: Mapping[str, str | None]
    """As text; a sensitive one is None."""
    may_approve: bool
    may_cancel: bool
    may_abort: bool
    is_final: bool
    card: Pass


def path_of(deployment: Deployment) -> str:
    """Give the path of a deployment's page."""
    return f"/console/deployments/{deployment.id}"


def tone(status: DeploymentStatus) -> str:
    """Give the class of a state's colour; the words beside it say the same."""
    if status in _WRONG:
        return "problem-text"
    return "good" if status is DeploymentStatus.SUCCESS else ""


def view_of(tx: Transaction, cipher: Cipher, actor: Actor, deployment: Deployment, now: datetime) -> DeploymentView:
    """Give a deployment that the actor may see."""
    environment, project = environment_for(tx, actor, deployment.environment_id, Permission.VIEW_PROJECT)
    organization_id, scope, status = deployment.organization_id, project.scope, deployment.status
    log, template = Log(deployment.id, path_of(deployment)), get_template(tx, organization_id, deployment.template_id)
    is_open, manages = project.deleted_at is None, actor.may(Permission.MANAGE_CREDENTIALS, scope)
    may_end = actor.may(Permission.ABORT_DEPLOYMENT, scope)
    waits, may_apply = status is DeploymentStatus.WAITING_FOR_USER, actor.may(Permission.RUN_APPLY, scope)
    return DeploymentView(
        deployment=deployment,
        environment=environment,
        project=project,
        status=STATUS[status],
        kind=TYPES[deployment.type],
        tone=tone(status),
        started_by=user(tx, organization_id, deployment.started_by),
        reviewed_by=user(tx, organization_id, deployment.reviewed_by) if deployment.reviewed_by else None,
        template=template.name if template else "",
        pool=_pool(tx, deployment),
        lasted=lasted(deployment.started_at, deployment.finished_at),
        steps=[step_view(log.path, step) for step in log_store.list_steps(tx, deployment.id)],
        refusal=refusal_answer(deployment, with_expected=manages),
        sees_expected=manages,
        outputs={name: _output(item) for name, item in (shown_outputs(tx, cipher, deployment) or {}).items()},
        may_approve=waits and may_apply and is_open,
        may_cancel=status in CANCELLABLE and may_end,
        may_abort=status is DeploymentStatus.IN_PROGRESS and may_end,
        is_final=status in FINAL,
        card=pass_of(tx, cipher, actor, (project, deployment), now),
    )


def _output(output: Mapping[str, Any]) -> str | None:
    value = output["value"]
    if output["sensitive"]:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _pool(tx: Transaction, deployment: Deployment) -> str:
    query = select(runner_pools.c.name).where(runner_pools.c.id == deployment.pool_id)
    return str(tx.execute(query).scalar_one())
