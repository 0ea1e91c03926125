"""The run lease: everything a runner needs to run one deployment, and its right to report on it.

Whoever holds `lease_secret` and the newest `fencing_token` speaks for the deployment; the server refuses everybody
else, however late they come (see `server/deployments/run_leases.py`).
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.reports import StepName
from runpass.protocol.wire import FencingToken, Record
from runpass.secret import Secret


class Phase(StrEnum):
    """What one lease of a deployment does; also the claim `phase` of its tokens."""

    PLAN = "plan"
    """Only the plan, which somebody is to approve."""
    APPLY = "apply"
    DESTROY = "destroy"
    TASK = "task"


class Command(Record):
    """One step of a run: a script for `sh -e`, under the name that the log has for it."""

    step: StepName
    script: str


class Variable(Record):
    """One environment variable of the run, inheritance already resolved and frozen when the run was queued."""

    name: str
    value: Secret
    sensitive: bool = False


class RunFacts(Record):
    """Who and what the run is: the `ENV0_*` variables come from here. Nothing secret."""

    organization_id: UUID
    organization_name: str
    project_id: UUID
    project_name: str
    environment_id: UUID
    environment_name: str
    deployment_id: UUID
    deployment_type: str
    template_id: UUID
    template_name: str
    workspace_name: str
    repository: str | None = None
    revision: str | None = None
    deployer_name: str | None = None
    deployer_email: str | None = None
    deployer_id: UUID | None = None
    reviewer_name: str | None = None
    """Who approved the plan, once somebody has."""
    reviewer_email: str | None = None
    reviewer_id: UUID | None = None


class RunLease(Record):
    """Server → runner: the answer to "give me work"."""

    lease_id: UUID
    lease_secret: Secret
    fencing_token: FencingToken
    expires_at: datetime
    timeout_seconds: float
    run: RunFacts
    phase: Phase
    commands: tuple[Command, ...]
    variables: tuple[Variable, ...] = ()
    credentials: tuple[CredentialGrant, ...] = ()
    identity: bool = False
    """Whether the job itself is given a workload identity token (`ENV0_OIDC_TOKEN`)."""
    vault_identity: bool = False
    """Whether it is given a second one, for Vault alone (`ENV0_VAULT_OIDC_TOKEN`), because a credential is `v2`."""
    id_token_request_token: Secret | None = None
    """With it the job asks for more tokens by itself (`protocol.identity.ID_TOKEN_PATH`); it opens no other door."""


class Wish(StrEnum):
    """What the server wants of a run that is going on."""

    GO_ON = "go-on"
    ABORT = "abort"
    """Somebody aborted it: end the commands, clean up, report."""


class Heartbeat(Record):
    """Runner → server, with the lease's secret."""

    fencing_token: FencingToken


class HeartbeatAnswer(Record):
    """Server → runner."""

    expires_at: datetime
    wish: Wish = Wish.GO_ON
