"""Responses about environments and deployments, as env0's clients read them."""

from typing import Any
from uuid import UUID

from runpass.protocol.reports import LogLevel, StepStatus
from runpass.server.deployments.log_store import StoredStep
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.tenancy.model import Environment, EnvironmentStatus


class RefusalAnswer(ApiModel):
    """Why a run did not get its secrets: our sentence, Vault's own words, the next step."""

    code: str
    reason: str
    vault_error: str | None = None
    hint: str | None = None


class DeploymentAnswer(ApiModel):
    """Response: a deployment ("deployment log" in env0's words)."""

    id: UUID
    environment_id: UUID
    project_id: UUID
    organization_id: UUID
    blueprint_id: UUID
    blueprint_revision: str
    blueprint_repository: str = ""
    type: DeploymentType
    status: DeploymentStatus
    started_by: str
    comment: str
    queued_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    error: str | None = None
    failed_step: str | None = None
    refusal: RefusalAnswer | None = None
    output: dict[str, Any] | None = None


class EnvironmentAnswer(ApiModel):
    """Response: an environment with its newest deployment."""

    id: UUID
    name: str
    project_id: UUID
    organization_id: UUID
    blueprint_id: UUID | None = None
    workspace_name: str
    status: EnvironmentStatus
    is_archived: bool
    requires_approval: bool = False
    latest_deployment_log_id: UUID | None = None
    latest_deployment_log: DeploymentAnswer | None = None
    created_by: str
    created_at: Moment
    updated_at: Moment


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


def deployment_answer(deployment: Deployment) -> DeploymentAnswer:
    """Give the response for a deployment."""
    return DeploymentAnswer(
        id=deployment.id,
        environment_id=deployment.environment_id,
        project_id=deployment.project_id,
        organization_id=deployment.organization_id,
        blueprint_id=deployment.template_id,
        blueprint_revision=deployment.revision,
        type=deployment.type,
        status=deployment.status,
        started_by=deployment.started_by,
        comment=deployment.comment,
        queued_at=deployment.queued_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        error=deployment.error,
        failed_step=deployment.failed_step,
        refusal=RefusalAnswer.model_validate(deployment.refusal) if deployment.refusal else None,
    )


def environment_answer(environment: Environment, latest: Deployment | None) -> EnvironmentAnswer:
    """Give the response for an environment."""
    return EnvironmentAnswer(
        id=environment.id,
        name=environment.name,
        project_id=environment.project_id,
        organization_id=environment.organization_id,
        blueprint_id=environment.template_id,
        workspace_name=environment.workspace_name,
        status=environment.status,
        is_archived=environment.is_archived,
        latest_deployment_log_id=latest.id if latest else None,
        latest_deployment_log=deployment_answer(latest) if latest else None,
        created_by=environment.created_by,
        created_at=environment.created_at,
        updated_at=environment.updated_at,
    )


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
