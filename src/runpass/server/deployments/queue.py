"""Queueing a deployment: everything it will be given is decided and frozen here."""

from dataclasses import dataclass
from datetime import datetime

from runpass.clock import Clock
from runpass.errors import Conflict, InvalidInput
from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, TemplateId, new_id
from runpass.protocol.run_lease import RunFacts, Variable
from runpass.protocol.wire import encode
from runpass.server.access.actors import Actor
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.changing import note_state
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, Inputs
from runpass.server.issuer.claims import MAX_CLAIM
from runpass.server.runners.model import DEFAULT_POOL
from runpass.server.runners.store import find_pool, pool_id
from runpass.server.templates.model import Template
from runpass.server.templates.store import get_template
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.inheritance import places, resolve
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, ConfigurationVariable
from runpass.server.variables.store import list_variables

OIDC_TAG = "ENV0_OIDC_TAG"
"""SECURITY: becomes the claim `env0Tag`, so it is read only from places that an admin decides."""

MAX_VARIABLE_BYTES = 131_072
"""Linux starts no program with a longer `NAME=value`, the NUL behind it counted (`MAX_ARG_STRLEN`)."""

MAX_VARIABLES_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What a caller asks for."""

    template_id: TemplateId | None = None
    revision: str = ""
    comment: str = ""
    pool: str = DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class Queueing:
    """Who queues, and what is needed for it."""

    actor: Actor
    cipher: Cipher
    clock: Clock
    timeout_seconds: float


def inputs_place(deployment_id: DeploymentId, organization_id: OrganizationId) -> Place:
    """Give where a deployment's frozen inputs stand."""
    return Place("deployments", "inputs_sealed", str(deployment_id), organization_id)


def queue_deployment(
    tx: Transaction, how: Queueing, environment: Environment, project: Project, wanted: DeployRequest
) -> Deployment:
    """Queue a deployment of an environment; give it.

    Raises `InvalidInput` for a template that this project may not run and for variables that no program could be
    started with, `Conflict` for an archived environment and for a credential that the policy forbids by now.
    """
    if environment.is_archived:
        raise Conflict("the environment is archived")
    template = runnable_template(tx, project, wanted.template_id or environment.template_id)
    deployment_id = DeploymentId(new_id())
    organization = own_organization(tx, how.actor)
    refusal = clear_text_refusal(credentials_of(tx, project.path), organization)
    if refusal is not None:
        raise Conflict(refusal)
    facts = RunFacts(
        organization_id=organization.id,
        organization_name=organization.name,
        project_id=project.id,
        project_name=project.name,
        environment_id=environment.id,
        environment_name=environment.name,
        deployment_id=deployment_id,
        deployment_type=DeploymentType.DEPLOY.value,
        template_id=template.id,
        template_name=template.name,
        workspace_name=environment.workspace_name,
        revision=wanted.revision or None,
        deployer_name=how.actor.name,
    )
    inputs = _inputs(tx, how.cipher, project, template, facts)
    now = how.clock.now()
    deployment = Deployment(
        id=deployment_id,
        organization_id=organization.id,
        project_id=project.id,
        environment_id=environment.id,
        template_id=template.id,
        pool_id=_pool(tx, organization.id, wanted.pool, now),
        type=DeploymentType.DEPLOY,
        status=DeploymentStatus.QUEUED,
        started_by=how.actor.audit_name,
        comment=wanted.comment,
        revision=wanted.revision,
        timeout_seconds=how.timeout_seconds,
        inputs_sealed=how.cipher.seal(encode(inputs), inputs_place(deployment_id, organization.id)),
        error=None,
        failed_step=None,
        refusal=None,
        queued_at=now,
        started_at=None,
        finished_at=None,
    )
    store.insert_deployment(tx, deployment)
    note_state(tx, deployment, DeploymentStatus.QUEUED, by=how.actor.audit_name, now=now)
    return deployment


def _inputs(tx: Transaction, cipher: Cipher, project: Project, template: Template, facts: RunFacts) -> Inputs:
    environment_id = EnvironmentId(facts.environment_id)
    order = places(project.organization_id, template_id=template.id, path=project.path, environment_id=environment_id)
    variables = list_variables(tx, cipher, project.organization_id, order)
    return Inputs(
        run=facts,
        commands=template.source.commands,
        variables=_handed(resolve(order, variables)),
        env0_tag=_tag(variables, project),
    )


def _pool(tx: Transaction, organization_id: OrganizationId, name: str, now: datetime) -> PoolId:
    if name == DEFAULT_POOL:
        return pool_id(tx, organization_id, name, now)
    found = find_pool(tx, organization_id, name)
    if found is None:
        raise InvalidInput.of("runnerPool", "must name a pool that runners can join: there is no join token for it yet")
    return found


def runnable_template(tx: Transaction, project: Project, template_id: TemplateId | None) -> Template:
    """Give the template if this project may run it. Raises `InvalidInput` for `blueprintId` otherwise."""
    if template_id is None:
        raise InvalidInput.of("blueprintId", "is required: this environment has no template yet")
    template = get_template(tx, project.organization_id, template_id)
    if template is None or template.is_deleted or not set(project.path) & set(template.project_ids):
        raise InvalidInput.of("blueprintId", "must name a template that is assigned to the environment's project")
    return template


def _handed(variables: list[ConfigurationVariable]) -> tuple[Variable, ...]:
    handed = tuple(
        Variable(name=item.name, value=item.value, sensitive=item.is_sensitive)
        for item in variables
        if item.type == ENVIRONMENT_VARIABLE and item.name != OIDC_TAG
    )
    total = 0
    for item in handed:
        size = len(f"{item.name}={item.value.reveal()}".encode()) + 1
        if size > MAX_VARIABLE_BYTES:
            raise InvalidInput(
                f"the variable {item.name} is longer than {MAX_VARIABLE_BYTES} bytes with its name:"
                " no program could be started with it"
            )
        total += size
    if total > MAX_VARIABLES_BYTES:
        raise InvalidInput(f"the variables of this environment are longer than {MAX_VARIABLES_BYTES} bytes together")
    return handed


def _tag(variables: list[ConfigurationVariable], project: Project) -> str | None:
    trusted = places(project.organization_id, path=project.path)
    found = [
        item
        for item in variables
        if (item.name, item.type) == (OIDC_TAG, ENVIRONMENT_VARIABLE)
        and (item.scope, item.scope_id) in trusted
        and not item.is_sensitive
    ]
    if not found:
        return None
    tag = resolve(trusted, found)[-1].value.reveal()
    if len(tag) > MAX_CLAIM:
        raise InvalidInput(f"the value of {OIDC_TAG} is longer than {MAX_CLAIM} characters, so no token could carry it")
    return tag
