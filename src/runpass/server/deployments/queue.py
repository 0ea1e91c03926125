"""Queueing a deployment: everything it will be given is decided and frozen here."""

from dataclasses import dataclass
from datetime import datetime

from runpass.clock import Clock
from runpass.errors import Conflict, InvalidInput
from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, new_id
from runpass.protocol.run_lease import RunFacts, Variable
from runpass.protocol.wire import encode
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import log_store, store
from runpass.server.deployments.approval import Grounds, check_starter, check_task, needs_approval
from runpass.server.deployments.changing import note_state
from runpass.server.deployments.code import Code, code_of
from runpass.server.deployments.deployer import deployer_email
from runpass.server.deployments.handing import handed
from runpass.server.deployments.inputs import Work, frozen_inputs, inputs_of, inputs_place
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, DeployRequest
from runpass.server.deployments.transitions import phase_of
from runpass.server.runners.model import DEFAULT_POOL
from runpass.server.runners.store import find_pool, pool_id
from runpass.server.tenancy.lookup import own_organization, policy_at
from runpass.server.tenancy.model import Environment, Organization, Project
from runpass.server.tenancy.tree_store import hold_open

TASK_SECONDS = 1800.0
"""env0's limit of a task."""

LOG_BYTES = 10 * 1024**3
"""What an organization's logs may hold unless the settings say otherwise."""

OWN_TRIGGER = "ttl"
"""Of the destructions that the server queues by itself. No request can name it."""


@dataclass(frozen=True, slots=True)
class Queueing:
    """Who queues, and what is needed for it."""

    actor: Actor
    cipher: Cipher
    clock: Clock
    timeout_seconds: float
    organization_log_bytes: int = LOG_BYTES
    """What an organization's logs may hold before nothing more is queued."""
    started_by: str = ""
    """Who is said to have started it, where that is not the actor: the server itself, at the end of a lifespan."""


def queue_deployment(
    tx: Transaction, how: Queueing, environment: Environment, project: Project, wanted: DeployRequest
) -> Deployment:
    """Queue a deployment of an environment; give it.

    Raises `InvalidInput` for a template that this project may not run and for variables that no program could be
    started with, `Forbidden` for what the actor may not ask for, `Conflict` for an archived environment or project,
    for logs beyond the organization's quota, for a destruction and for a credential that a policy forbids.
    """
    organization = own_organization(tx, how.actor)
    _check_usable(tx, how, environment, project)
    code = code_of(tx, how.cipher, environment, project, wanted)
    check_starter(how.actor, project.scope, wanted.kind, code.departs)
    policy = policy_at(tx, organization, project)
    if wanted.kind is DeploymentType.DESTROY and policy.destroy_disabled:
        # SECURITY: here, because this is what every way to a destruction goes through.
        raise Conflict("a policy of the project forbids to destroy its environments")
    grounds = Grounds(
        environment_requires=environment.requires_approval,
        policy_requires=policy.requires_approval,
        is_asked_for=wanted.requires_approval,
        starter_may_apply=how.actor.may(Permission.RUN_APPLY, project.scope),
    )
    if wanted.kind is DeploymentType.TASK:
        check_task(how.actor, ScopePath(organization.id), grounds)
    refusal = clear_text_refusal(credentials_of(tx, project.path), organization)
    if refusal is not None:
        raise Conflict(refusal)
    requires_approval = wanted.kind is not DeploymentType.TASK and needs_approval(grounds)
    deployment = _deployment(tx, how, environment, code, wanted, requires_approval=requires_approval)
    facts = _facts(how.actor, organization, project, environment, deployment=deployment, code=code)
    work = Work(wanted.kind, code.template, requires_approval, wanted.task_commands, wanted.targets)
    variables, tag = _variables(tx, how, project, facts, wanted)
    email = deployer_email(tx, how.actor, deployment.started_by)
    inputs = frozen_inputs(work, facts, variables, tag).model_copy(update={"deployer_email": email})
    sealed = how.cipher.seal(encode(inputs), inputs_place(deployment.id, organization.id))
    store.insert_deployment(tx, deployment, sealed)
    note_state(tx, deployment, DeploymentStatus.QUEUED, by=deployment.started_by, now=deployment.queued_at)
    return deployment


def _variables(
    tx: Transaction, how: Queueing, project: Project, facts: RunFacts, wanted: DeployRequest
) -> tuple[tuple[Variable, ...], str | None]:
    """Give a run's variables and its tag: as they are now, or for an end of a lifespan as they last were.

    SECURITY: a variable that cannot be resolved would else keep an environment from its end for ever. The server may
    not see other projects, so it cannot follow every reference either.
    """
    try:
        return handed(tx, how.cipher, how.actor, project, facts)
    except InvalidInput:
        last = store.last_deploy(tx, EnvironmentId(facts.environment_id)) if wanted.trigger == OWN_TRIGGER else None
        if last is None:
            raise
        frozen = inputs_of(tx, how.cipher, last)
        return frozen.variables, frozen.env0_tag


def _check_usable(tx: Transaction, how: Queueing, environment: Environment, project: Project) -> None:
    if environment.is_archived:
        raise Conflict("the environment is archived")
    hold_open(tx, project)
    if log_store.usage(tx, environment.organization_id) >= how.organization_log_bytes:
        raise Conflict(
            "the logs of this organization are as large as they may become, so nothing more is deployed",
            hint="the operator can raise organization_log_bytes",
        )


def _deployment(
    tx: Transaction,
    how: Queueing,
    environment: Environment,
    code: Code,
    wanted: DeployRequest,
    *,
    requires_approval: bool,
) -> Deployment:
    now = how.clock.now()
    limit = TASK_SECONDS if wanted.kind is DeploymentType.TASK else how.timeout_seconds
    return Deployment(
        id=DeploymentId(new_id()),
        organization_id=environment.organization_id,
        project_id=environment.project_id,
        environment_id=environment.id,
        template_id=code.template.id,
        pool_id=_pool(tx, environment.organization_id, wanted.pool, now),
        type=wanted.kind,
        status=DeploymentStatus.QUEUED,
        phase=phase_of(wanted.kind, requires_approval=requires_approval),
        requires_approval=requires_approval,
        trigger=wanted.trigger,
        started_by=how.started_by or how.actor.audit_name,
        comment=wanted.comment,
        revision=wanted.revision,
        repository=code.repository,
        timeout_seconds=min(limit, how.timeout_seconds),
        error=None,
        failed_step=None,
        refusal=None,
        has_outputs=False,
        reviewed_by=None,
        log_bytes=0,
        queued_at=now,
        started_at=None,
        finished_at=None,
        reviewed_at=None,
    )


def _facts(
    actor: Actor,
    organization: Organization,
    project: Project,
    environment: Environment,
    *,
    deployment: Deployment,
    code: Code,
) -> RunFacts:
    return RunFacts(
        organization_id=organization.id,
        organization_name=organization.name,
        project_id=project.id,
        project_name=project.name,
        environment_id=environment.id,
        environment_name=environment.name,
        deployment_id=deployment.id,
        deployment_type=deployment.type.value,
        template_id=code.template.id,
        template_name=code.template.name,
        workspace_name=environment.workspace_name,
        repository=code.repository or None,
        revision=code.revision or None,
        deployer_name=actor.name,
        deployer_id=actor.id,
    )


def _pool(tx: Transaction, organization_id: OrganizationId, name: str, now: datetime) -> PoolId:
    if name == DEFAULT_POOL:
        return pool_id(tx, organization_id, name, now)
    found = find_pool(tx, organization_id, name)
    if found is None:
        raise InvalidInput.of("runnerPool", "must name a pool that runners can join: there is no join token for it yet")
    return found
