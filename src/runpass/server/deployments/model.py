"""The records of this room."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, ProjectId, RunLeaseId, RunnerId, TemplateId
from runpass.protocol.run_lease import RunFacts, Variable
from runpass.protocol.wire import Record


class DeploymentStatus(StrEnum):
    """env0's states of a deployment."""

    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    WAITING_FOR_USER = "WAITING_FOR_USER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    INTERNAL_FAILURE = "INTERNAL_FAILURE"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"
    SKIPPED = "SKIPPED"
    NEVER_DEPLOYED = "NEVER_DEPLOYED"


class DeploymentType(StrEnum):
    """env0's kinds of deployment; more come as they are built."""

    DEPLOY = "deploy"


class Inputs(Record):
    """What a run is given, frozen when it is queued: later changes to template, names or variables do not reach it."""

    run: RunFacts
    commands: tuple[str, ...]
    variables: tuple[Variable, ...] = ()
    env0_tag: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment. `inputs_sealed` is encrypted: it holds sensitive values."""

    id: DeploymentId
    organization_id: OrganizationId
    project_id: ProjectId
    environment_id: EnvironmentId
    template_id: TemplateId
    pool_id: PoolId
    type: DeploymentType
    status: DeploymentStatus
    started_by: str
    comment: str
    revision: str
    timeout_seconds: float
    inputs_sealed: bytes
    error: str | None
    failed_step: str | None
    refusal: Mapping[str, Any] | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A run lease as it is stored: the digest of its secret, never the secret."""

    id: RunLeaseId
    organization_id: OrganizationId
    deployment_id: DeploymentId
    runner_id: RunnerId
    secret_sha256: bytes
    fencing_token: int
    tokens_minted: int
    taken_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    spoken_at: datetime | None = None
    """When its holder last sent a heartbeat or a report or got a token; None: the run never began."""
