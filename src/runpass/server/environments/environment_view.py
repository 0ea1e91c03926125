"""An environment as its page shows it: its state in words, what it inherits and from where, what may be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user
from runpass.server.credentials import store as credential_store
from runpass.server.credentials.assignment import effective
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments.deployment_rows import DeploymentRow, rows_of
from runpass.server.environments.answers import REVISION
from runpass.server.templates.model import Template
from runpass.server.templates.store import get_template
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project
from runpass.server.tenancy.project_places import places_of
from runpass.server.variables.handing import handed_name
from runpass.server.variables.inheritance import places, resolve
from runpass.server.variables.model import Place, VariableRecord, VariableScope
from runpass.server.variables.store import list_records

STATES: Final = {
    EnvironmentStatus.CREATED: "Made, not deployed yet",
    EnvironmentStatus.NEVER_DEPLOYED: "Never deployed",
    EnvironmentStatus.ACTIVE: "Deployed",
    EnvironmentStatus.INACTIVE: "Destroyed",
    EnvironmentStatus.FAILED: "Last run failed",
    EnvironmentStatus.TIMEOUT: "Last run took too long",
    EnvironmentStatus.WAITING_FOR_USER: "Waits for an approval",
    EnvironmentStatus.DEPLOY_IN_PROGRESS: "Being deployed",
    EnvironmentStatus.DESTROY_IN_PROGRESS: "Being destroyed",
    EnvironmentStatus.TASK_IN_PROGRESS: "Runs a task",
    EnvironmentStatus.ABORTING: "Last run is being aborted",
    EnvironmentStatus.ABORTED: "Last run was aborted",
}
NEWEST: Final = 10
"""Deployments on the page; the others have a page of their own."""
_WRONG: Final = frozenset({EnvironmentStatus.FAILED, EnvironmentStatus.TIMEOUT})


@dataclass(frozen=True, slots=True)
class VariableRow:
    """A variable that counts here. SECURITY: made from a record that holds no sensitive value."""

    name: str
    """As the commands find it."""
    value: str | None
    """None for a sensitive one."""
    source: str
    path: str
    """The page of the variables of its place."""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A credential that a run would use now."""

    credential: StoredCredential
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentView:
    """What the page shows beside the forms."""

    environment: Environment
    project: Project
    above: Sequence[Project]
    state: str
    tone: str
    """The class of the state's colour."""
    template: Template | None
    revision: str
    """Of the last deployment that may have changed something, or else the one that was asked for when it was made."""
    maker: User
    rows: Sequence[DeploymentRow]
    has_more: bool
    variables: Sequence[VariableRow]
    credentials: Sequence[CredentialRow] | None
    """None for those who may not see them."""
    may_deploy: bool
    may_destroy: bool
    may_change: bool
    may_archive: bool


def tone(status: EnvironmentStatus) -> str:
    """Give the class of a state's colour; the words beside it say the same."""
    if status in _WRONG:
        return "problem-text"
    return "good" if status is EnvironmentStatus.ACTIVE else ""


def view_of(tx: Transaction, actor: Actor, environment: Environment, project: Project) -> EnvironmentView:
    """Give an environment that the actor may see, with a number of queries that does not depend on what it holds."""
    organization_id, scope, is_open = environment.organization_id, project.scope, project.deleted_at is None
    template_id = environment.template_id
    found = deployment_store.list_deployments(tx, environment.id, limit=NEWEST + 1)
    last = deployment_store.last_deploy(tx, environment.id)
    above = places_of(tx, actor, [project])[project.id]
    names: Mapping[UUID, str] = {one.id: one.name for one in (*above, project)}
    may_run = is_open and actor.may(Permission.RUN_PLAN, scope)
    return EnvironmentView(
        environment=environment,
        project=project,
        above=above,
        state=STATES[environment.status],
        tone=tone(environment.status),
        template=get_template(tx, organization_id, template_id) if template_id else None,
        revision=last.revision if last else str(environment.settings.get(REVISION, "")),
        maker=user(tx, organization_id, environment.created_by),
        rows=rows_of(tx, organization_id, found[:NEWEST]),
        has_more=len(found) > NEWEST,
        variables=_variables(tx, actor, environment, project, names),
        credentials=_credentials(tx, project, names) if actor.may(Permission.VIEW_CREDENTIALS, scope) else None,
        may_deploy=may_run and not environment.is_archived,
        may_destroy=may_run and _has_something(environment),
        may_change=is_open and actor.may(Permission.EDIT_ENVIRONMENT_SETTINGS, scope),
        may_archive=is_open and actor.may(Permission.ARCHIVE_ENVIRONMENT, scope),
    )


def _has_something(environment: Environment) -> bool:
    is_left = not environment.is_archived and environment.status is not EnvironmentStatus.INACTIVE
    return is_left and environment.template_id is not None


def _variables(
    tx: Transaction, actor: Actor, environment: Environment, project: Project, names: Mapping[UUID, str]
) -> list[VariableRow]:
    """Give what counts here, as the API lists it to whoever may see the environment."""
    actor.require(Permission.VIEW_ORGANIZATION, ScopePath(actor.organization_id))
    organization_id = environment.organization_id
    order = places(
        organization_id, template_id=environment.template_id, path=project.path, environment_id=environment.id
    )
    found = resolve(order, list_records(tx, organization_id, order))
    return [_variable(one, organization_id, names) for one in found]


def _variable(one: VariableRecord, organization_id: UUID, names: Mapping[UUID, str]) -> VariableRow:
    source, path = _source(one.place, organization_id, names)
    return VariableRow(handed_name(one), one.clear_value, source, path)


def _source(place: Place, organization_id: UUID, names: Mapping[UUID, str]) -> tuple[str, str]:
    scope, place_id = place
    match scope:
        case VariableScope.GLOBAL:
            return "the organization", f"/console/organizations/{organization_id}/variables"
        case VariableScope.BLUEPRINT:
            return "its template", f"/console/templates/{place_id}/variables"
        case VariableScope.PROJECT:
            name = names.get(place_id)
            path = f"/console/projects/{place_id}/variables"
            return ("a project above it", "") if name is None else (f"the project {name}", path)
        case VariableScope.ENVIRONMENT:
            return "this environment", f"/console/environments/{place_id}/variables"


def _credentials(tx: Transaction, project: Project, names: Mapping[UUID, str]) -> list[CredentialRow]:
    """Give what a run would use, and the project where it is assigned, if its name may be told."""
    assigned = credential_store.assigned_to(tx, project.path)
    chosen = {one.id for one in effective(project.path, assigned)}
    from_the_top = sorted(assigned, key=lambda item: project.path.index(item[0]))
    nearest = {one.id: (project_id, one) for project_id, one in from_the_top}
    return [
        CredentialRow(one, f"the project {names[project_id]}" if project_id in names else "a project above it")
        for project_id, one in nearest.values()
        if one.id in chosen
    ]
