"""Responses about deployments, their steps and logs, as env0's clients read them."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from runpass.protocol.reports import LogLevel, StepStatus
from runpass.server.access.users import User, user, users
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.log_store import StoredStep
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, wire_status
from runpass.server.deployments.outputs import shown_outputs
from runpass.server.http.wire import ApiModel, Moment


class RefusalCheckAnswer(ApiModel):
    """Response: one check of the Vault about a login.

    `expected` and `fix` are for callers with `MANAGE_CREDENTIALS`, and only in the answer about one deployment.
    """

    name: str
    passed: bool | None = None
    received: str = ""
    expected: str | None = None
    fix: str | None = None


class RefusalAnswer(ApiModel):
    """Why a run did not get its secrets: our sentence, Vault's own words, the next step."""

    code: str
    reason: str
    vault_error: str | None = None
    hint: str | None = None
    checks: Annotated[list[RefusalCheckAnswer], Field(default_factory=list)]


class LeakAnswer(ApiModel):
    """A secret that turned up in the output of a step, where it was masked: what it is known as."""

    secret: str
    """The name of a variable, a reference, or what else the runner knows it as."""
    step: str


class DeploymentAnswer(ApiModel):
    """Response: a deployment ("deployment log" in env0's words)."""

    id: UUID
    environment_id: UUID
    project_id: UUID
    organization_id: UUID
    blueprint_id: UUID
    blueprint_revision: str
    """The text that was asked for, never a commit."""
    blueprint_repository: str = ""
    type: DeploymentType
    status: DeploymentStatus
    requires_approval: bool = False
    trigger_name: str = "user"
    started_by: str
    started_by_user: User
    reviewed_by: str | None = None
    reviewed_at: Moment | None = None
    comment: str
    queued_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    error: str | None = None
    failed_step: str | None = None
    refusal: RefusalAnswer | None = None
    leaks: Annotated[list[LeakAnswer], Field(default_factory=list)]
    """Empty in lists."""
    output: dict[str, Any] | None = None
    """By name: `{value, sensitive, type}`; null in lists. A sensitive value is null."""
    workflow_file: None = None


class StepAnswer(ApiModel):
    """Response: a step of a deployment."""

    id: UUID
    deployment_log_id: UUID
    project_id: UUID
    organization_id: UUID
    name: str
    order: int
    status: StepStatus
    started_at: Moment | None = None
    completed_at: Moment | None = None


class LogEventAnswer(ApiModel):
    """Response: one line of a step's log."""

    event_id: str
    message: str
    level: LogLevel
    timestamp: Moment


class StepLogAnswer(ApiModel):
    """Response: a page of a step's log. `nextStartTime` is opaque: send it back as `startTime`."""

    events: list[LogEventAnswer]
    next_start_time: str | None = None
    has_more_logs: bool


def deployment_answers(tx: Transaction, deployments: Sequence[Deployment]) -> list[DeploymentAnswer]:
    """Show deployments of one organization, without what they gave back."""
    if not deployments:
        return []
    starters = users(tx, deployments[0].organization_id, {item.started_by for item in deployments})
    return [_deployment_answer(item, starters[item.started_by]) for item in deployments]


def deployment_answer(
    tx: Transaction, cipher: Cipher, deployment: Deployment, *, with_expected: bool = False
) -> DeploymentAnswer:
    """Show one deployment with what it gave back; `with_expected` for those who manage its credentials."""
    starter = user(tx, deployment.organization_id, deployment.started_by)
    answer = _deployment_answer(deployment, starter, shown_outputs(tx, cipher, deployment))
    leaks = [LeakAnswer(secret=leak.secret, step=leak.step) for leak in deployment.leaks]
    refusal = refusal_answer(deployment, with_expected=with_expected)
    return answer.model_copy(update={"refusal": refusal, "leaks": leaks})


def _deployment_answer(deployment: Deployment, starter: User, output: dict[str, Any] | None = None) -> DeploymentAnswer:
    return DeploymentAnswer(
        id=deployment.id,
        environment_id=deployment.environment_id,
        project_id=deployment.project_id,
        organization_id=deployment.organization_id,
        blueprint_id=deployment.template_id,
        blueprint_revision=deployment.revision,
        blueprint_repository=deployment.repository,
        type=deployment.type,
        status=wire_status(deployment.status),
        requires_approval=deployment.requires_approval,
        trigger_name=deployment.trigger,
        started_by=deployment.started_by,
        started_by_user=starter,
        reviewed_by=deployment.reviewed_by,
        reviewed_at=deployment.reviewed_at,
        comment=deployment.comment,
        queued_at=deployment.queued_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        error=deployment.error,
        failed_step=deployment.failed_step,
        refusal=refusal_answer(deployment),
        output=output,
    )


def refusal_answer(deployment: Deployment, *, with_expected: bool = False) -> RefusalAnswer | None:
    """Give why a run did not get its secrets; `with_expected` for those who manage its credentials."""
    if not deployment.refusal:
        return None
    found = RefusalAnswer.model_validate(deployment.refusal)
    if with_expected:
        return found
    # SECURITY: what a role asks for tells whom it lets in.
    checks = [item.model_copy(update={"expected": None, "fix": None}) for item in found.checks]
    return found.model_copy(update={"checks": checks})


def step_answer(deployment: Deployment, step: StoredStep) -> StepAnswer:
    """Give the response for a step."""
    return StepAnswer(
        id=step.id,
        deployment_log_id=deployment.id,
        project_id=deployment.project_id,
        organization_id=deployment.organization_id,
        name=step.name,
        order=step.order,
        status=step.status,
        started_at=step.started_at,
        completed_at=step.completed_at,
    )
