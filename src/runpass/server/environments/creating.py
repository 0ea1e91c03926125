"""Making an environment: the environment, its variables, and its first deployment."""

import secrets
from typing import Any

from runpass.errors import InvalidInput
from runpass.ids import EnvironmentId, TemplateId, new_id
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments.code import runnable_template
from runpass.server.deployments.dependencies import Desk
from runpass.server.deployments.queue import queue_deployment
from runpass.server.environments.answers import OWN_TEMPLATE, REVISION
from runpass.server.environments.deploying import lifespan_for, save_changes
from runpass.server.environments.holding import Held, note
from runpass.server.environments.idempotency import Done, Remember
from runpass.server.environments.lifespans import as_asked
from runpass.server.environments.requests import CreateEnvironment, Deploy, EnvironmentFields
from runpass.server.environments.without_template import CreateWithoutTemplate
from runpass.server.templates.making import make_template
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.lookup import open_project_for
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project


def create(tx: Transaction, desk: Desk, body: CreateEnvironment, remember: Remember) -> Done:
    """Make an environment from a template of its project."""
    body.check_fields_offered()
    body.deploy_request.check_offered()
    project = open_project_for(tx, desk.caller, body.project_id, Permission.RUN_APPLY)
    asked = body.deploy_request.blueprint_id
    template_id = TemplateId(asked) if asked else None
    if template_id is not None:
        runnable_template(tx, project, template_id)
    settings = body.decided() | ({"type": body.type} if body.type else {})
    environment = _insert(tx, desk, body, project, template_id, settings | _requested(body.deploy_request))
    remember(environment.id)
    return _begin(tx, desk, Held(environment, project), body, body.deploy_request)


def create_without_template(tx: Transaction, desk: Desk, body: CreateWithoutTemplate, remember: Remember) -> Done:
    """Make an environment and the template that is for it alone."""
    body.check_fields_offered()
    body.deploy_request.check_offered()
    if body.deploy_request.blueprint_id is not None:
        raise InvalidInput.of("deployRequest.blueprintId", "must be empty: the template is made from this request")
    project = open_project_for(tx, desk.caller, body.project_id, Permission.RUN_APPLY)
    # SECURITY: a template of one's own is code of one's own, as a revision or a repository of one's own is.
    desk.caller.require(Permission.DEPLOY_CUSTOM_REVISION, project.scope)
    settings = body.decided() | _requested(body.deploy_request)
    environment = _insert(tx, desk, body, project, None, settings)
    remember(environment.id)
    by, now = desk.caller.audit_name, desk.clock.now()
    template = make_template(tx, project.organization_id, body.own_draft(), by=by, now=now, only_for=project.id)
    values = {"template_id": template.id, "settings": settings | {OWN_TEMPLATE: str(template.id)}}
    environment_store.update_environment(tx, environment.id, values, now)
    current = environment_store.get_environment(tx, project.organization_id, environment.id) or environment
    return _begin(tx, desk, Held(current, project), body, body.deploy_request)


def _requested(body: Deploy) -> dict[str, Any]:
    return {REVISION: body.blueprint_revision} if body.blueprint_revision else {}


def _insert(  # noqa: PLR0917 -- everything that an environment is made of
    tx: Transaction,
    desk: Desk,
    body: EnvironmentFields,
    project: Project,
    template_id: TemplateId | None,
    settings: dict[str, Any],
) -> Environment:
    now = desk.clock.now()
    deploy_request: Deploy = getattr(body, "deploy_request", Deploy())
    ttl, where = (body.ttl, "ttl.") if body.ttl else (deploy_request.ttl, "deployRequest.ttl.")
    environment = Environment(
        id=EnvironmentId(new_id()),
        organization_id=project.organization_id,
        project_id=project.id,
        template_id=template_id,
        name=body.name,
        workspace_name=body.workspace_name or f"env0{secrets.token_hex(4)}",
        status=EnvironmentStatus.CREATED,
        is_archived=False,
        settings={**settings, **as_asked(ttl)},
        created_by=desk.caller.audit_name,
        created_at=now,
        updated_at=now,
        lifespan_end_at=lifespan_for(tx, desk.caller, project, ttl, now, where=where),
    )
    environment_store.insert_environment(tx, environment)
    return environment


def _begin(tx: Transaction, desk: Desk, held: Held, body: EnvironmentFields, first: Deploy) -> Done:
    environment, by, now = held.environment, desk.caller.audit_name, desk.clock.now()
    note(tx, environment, "created", by=by, now=now, detail={"projectId": str(held.project.id)})
    changed = save_changes(tx, desk, held, body.configuration_changes, where="configurationChanges")
    more = save_changes(tx, desk, held, first.configuration_changes, where="deployRequest.configurationChanges")
    if body.prevent_auto_deploy:
        return Done(environment)
    wanted = first.wanted(changed_variables=changed or more)
    return Done(environment, queue_deployment(tx, desk.queueing, environment, held.project, wanted))
