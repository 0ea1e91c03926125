"""What pages call the places of variables, and where their pages are.

SECURITY: whoever has a role on a sub-project alone is not told what those above it are called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.requests import Request

from runpass.ids import EnvironmentId, ProjectId, TemplateId
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.templates.store import get_template
from runpass.server.tenancy import environment_store, store
from runpass.server.variables.managing import inherited_by
from runpass.server.variables.model import Place, VariableScope

_SCOPES: Final = {
    "organization_id": VariableScope.GLOBAL,
    "template_id": VariableScope.BLUEPRINT,
    "project_id": VariableScope.PROJECT,
    "environment_id": VariableScope.ENVIRONMENT,
}
_FOLDERS: Final = {
    VariableScope.GLOBAL: "organizations",
    VariableScope.BLUEPRINT: "templates",
    VariableScope.PROJECT: "projects",
    VariableScope.ENVIRONMENT: "environments",
}
PATHS: Final = tuple(f"/{_FOLDERS[scope]}/{{{name}}}/variables" for name, scope in _SCOPES.items())
"""Of the pages of places, below `/console`."""


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place as a page calls it."""

    kind: str
    name: str
    path: str
    """Of what stands there; empty where the visitor may not see it."""
    variables: str
    """The path of its variables; empty as `path`."""


def place_in(request: Request) -> Place:
    """Give the place that a path of `PATHS` names. Raises `NotFound` for what is no id."""
    (name,) = request.path_params
    return _SCOPES[name], uuid_in(request, name)


def order_at(tx: Transaction, actor: Actor, place: Place) -> list[Place]:
    """Give the places whose variables count at this one, itself last. Raises as `managing.inherited_by`."""
    scope, scope_id = place
    match scope:
        case VariableScope.GLOBAL:
            return inherited_by(tx, actor)
        case VariableScope.BLUEPRINT:
            return inherited_by(tx, actor, template_id=scope_id)
        case VariableScope.PROJECT:
            return inherited_by(tx, actor, project_id=scope_id)
        case VariableScope.ENVIRONMENT:
            return inherited_by(tx, actor, environment_id=scope_id)


def variables_path(place: Place) -> str:
    """Give the path of the page of a place's variables."""
    return f"{_home(place)}/variables"


def named(tx: Transaction, actor: Actor, order: Sequence[Place]) -> dict[Place, NamedPlace]:
    """Give what the visitor may know of these places."""
    names = {place: _name(tx, actor, place) for place in order if place[0] is not VariableScope.PROJECT}
    ids = [ProjectId(scope_id) for scope, scope_id in order if scope is VariableScope.PROJECT]
    projects = store.list_by_id(tx, actor.organization_id, ids) if ids else {}
    for item in ids:
        project = projects.get(item)
        is_seen = project is not None and actor.may(Permission.VIEW_PROJECT, project.scope)
        names[(VariableScope.PROJECT, item)] = project.name if project is not None and is_seen else ""
    return {place: _named(place, names[place]) for place in order}


def _named(place: Place, name: str) -> NamedPlace:
    kind = {
        VariableScope.GLOBAL: "organization",
        VariableScope.BLUEPRINT: "template",
        VariableScope.PROJECT: "project",
        VariableScope.ENVIRONMENT: "environment",
    }[place[0]]
    if place[0] is VariableScope.GLOBAL:
        return NamedPlace(kind, "the organization", "/console/", variables_path(place))
    if not name:
        return NamedPlace(kind, "that you may not see", "", "")
    return NamedPlace(kind, name, _home(place), variables_path(place))


def _home(place: Place) -> str:
    scope, scope_id = place
    return f"/console/{_FOLDERS[scope]}/{scope_id}"


def _name(tx: Transaction, actor: Actor, place: Place) -> str:
    scope, scope_id = place
    if scope is VariableScope.GLOBAL:
        return ""
    return (
        _template_name(tx, actor, scope_id) if scope is VariableScope.BLUEPRINT else _environment(tx, actor, scope_id)
    )


def _template_name(tx: Transaction, actor: Actor, template_id: UUID) -> str:
    template = get_template(tx, actor.organization_id, TemplateId(template_id))
    return template.name if template and actor.may_somewhere(Permission.VIEW_TEMPLATES) else ""


def _environment(tx: Transaction, actor: Actor, environment_id: UUID) -> str:
    environment = environment_store.get_environment(tx, actor.organization_id, EnvironmentId(environment_id))
    return environment.name if environment else ""
