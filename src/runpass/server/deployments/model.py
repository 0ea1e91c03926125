"""The records of this room."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import field_validator

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, ProjectId, RunLeaseId, RunnerId, TemplateId
from runpass.protocol.reports import Leak
from runpass.protocol.run_lease import Command, Phase, RunFacts, Variable
from runpass.protocol.wire import Record
from runpass.server.runners.model import DEFAULT_POOL


class DeploymentStatus(StrEnum):
    """env0's states of a deployment, and one of ours: `APPROVED`."""

    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    WAITING_FOR_USER = "WAITING_FOR_USER"
    APPROVED = "APPROVED"
    """Its plan was approved and no runner has taken it again yet. env0's clients do not know it: see `wire_status`."""
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
    DESTROY = "destroy"
    TASK = "task"


class Inputs(Record):
    """What a run is given, frozen when it is queued: later changes to template, names or variables do not reach it."""

    run: RunFacts
    plan: tuple[Command, ...] = ()
    commands: tuple[Command, ...]
    """What follows the plan: of an apply, a destroy or a task."""
    variables: tuple[Variable, ...] = ()
    env0_tag: str | None = None
    deployer_email: str | None = None
    """Of the person who started it, if a provider had verified it by then."""
    commit: str | None = None
    """The commit that was planned, once the plan is approved: the commands bring no other."""
    refusal: str | None = None
    """Why no runner can run this, if that was known when it was queued."""

    @field_validator("commands", mode="before")
    @classmethod
    def _once_plain_text(cls, value: Any) -> Any:
        """Read what was queued when commands had no names of their own."""
        if not isinstance(value, list):
            return value
        return [
            {"step": f"shell:{number}", "script": item} if isinstance(item, str) else item
            for number, item in enumerate(value, start=1)
        ]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment. What it was given and what it gave back are not in here: both are sealed, and may be large."""

    id: DeploymentId
    organization_id: OrganizationId
    project_id: ProjectId
    environment_id: EnvironmentId
    template_id: TemplateId
    pool_id: PoolId
    type: DeploymentType
    status: DeploymentStatus
    phase: Phase
    """What a runner that takes it now would do, or what the last one did."""
    requires_approval: bool
    trigger: str
    started_by: str
    comment: str
    revision: str
    """The text that was asked for; empty for the template's own."""
    repository: str
    timeout_seconds: float
    error: str | None
    failed_step: str | None
    refusal: Mapping[str, Any] | None
    has_outputs: bool
    reviewed_by: str | None
    log_bytes: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reviewed_at: datetime | None
    leaks: tuple[Leak, ...] = ()
    """Secrets that turned up, masked, in its output: names and steps."""


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What a caller asks for. Empty texts mean what the template says, or for a destroy what the last deploy used."""

    template_id: TemplateId | None = None
    revision: str = ""
    comment: str = ""
    pool: str = DEFAULT_POOL
    kind: DeploymentType = DeploymentType.DEPLOY
    repository: str = ""
    trigger: str = "user"
    requires_approval: bool = False
    """Asked for by the caller, who can only add an approval."""
    task_commands: tuple[str, ...] = ()
    changed_variables: bool = False
    """Whether the request changed variables of the environment before this was asked for."""
    targets: tuple[str, ...] = ()
    """The only resources that a deploy may change, with what they need; empty for all."""


def wire_status(status: DeploymentStatus) -> DeploymentStatus:
    """Give the state as env0's clients know it: what is approved goes on.

    env0's CLI gives up after `approve` when it sees any other state than this one, `QUEUED` included.
    """
    return DeploymentStatus.IN_PROGRESS if status is DeploymentStatus.APPROVED else status


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
    id_token_sha256: bytes | None = None
    """Of the bearer with which the job asks for identity tokens; None: it may not."""
