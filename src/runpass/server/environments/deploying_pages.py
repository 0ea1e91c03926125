"""The pages that ask before something is queued: for a new environment, a deployment, a destruction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.deployments.dependencies import Desk, desk_of
from runpass.server.environments import queueing
from runpass.server.environments.creating import create
from runpass.server.environments.environment_forms import (
    DeployForm,
    DestroyForm,
    NewForm,
    deploy_request,
    destroy_request,
    drawn,
    for_planner,
    form_errors,
    new_request,
)
from runpass.server.environments.page_forms import answer_form, new_key, once, place_of, problem_above
from runpass.server.templates.model import Template
from runpass.server.templates.store import list_templates
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_places import places_of
from runpass.server.web.answering import Fields, answer_page
from runpass.server.web.fields import FormField, values_of

_MOST_TEMPLATES: Final = 500
"""That a form offers."""


def new_page(request: Request) -> Response:
    """Ask for a new environment."""
    return _draw_new(request, desk_of(request, visit(request).actor), {})


async def new(request: Request) -> Response:
    """Make an environment, and queue its first deployment unless the form says not to."""
    return await answer_form(request, _make, _draw_new)


def deploy_page(request: Request) -> Response:
    """Ask for a deployment."""
    return _draw_deploy(request, desk_of(request, visit(request).actor), {})


async def deploy(request: Request) -> Response:
    """Queue a deployment."""
    return await answer_form(request, _deploy, _draw_deploy)


def destroy_page(request: Request) -> Response:
    """Say what a destruction does, and ask."""
    return _draw_destroy(request, desk_of(request, visit(request).actor), {})


async def destroy(request: Request) -> Response:
    """Queue a destruction."""
    return await answer_form(request, _destroy, _draw_destroy)


_NEW: Final = "/projects/{project_id}/environments/new"
_ONE: Final = "/environments/{environment_id}"
ROUTES: Final = (
    Route(_NEW, new_page, methods=["GET"]),
    Route(_NEW, new, methods=["POST"]),
    Route(f"{_ONE}/deploy", deploy_page, methods=["GET"]),
    Route(f"{_ONE}/deploy", deploy, methods=["POST"]),
    Route(f"{_ONE}/destroy", destroy_page, methods=["GET"]),
    Route(f"{_ONE}/destroy", destroy, methods=["POST"]),
)


def _make(request: Request, desk: Desk, fields: Fields) -> str:
    project_id = uuid_in(request, "project_id")
    with desk.database.read() as tx:  # whoever may not is told so before anything about the form
        project_for(tx, desk.caller, project_id, Permission.RUN_APPLY)
    body = new_request(project_id, fields)
    return place_of(once(request, desk, fields, lambda tx, remember: create(tx, desk, body, remember)))


def _deploy(request: Request, desk: Desk, fields: Fields) -> str:
    environment_id = _allowed(request, desk)
    body = deploy_request(fields)
    done = once(request, desk, fields, lambda tx, told: queueing.queue_deploy(tx, desk, environment_id, body, told))
    return place_of(done)


def _destroy(request: Request, desk: Desk, fields: Fields) -> str:
    environment_id = _allowed(request, desk)
    body = destroy_request(fields)
    done = once(request, desk, fields, lambda tx, told: queueing.queue_destroy(tx, desk, environment_id, body, told))
    return place_of(done)


def _allowed(request: Request, desk: Desk) -> UUID:
    environment_id = uuid_in(request, "environment_id")
    with desk.database.read() as tx:
        environment_for(tx, desk.caller, environment_id, Permission.RUN_PLAN)
    return environment_id


def _draw_new(request: Request, desk: Desk, sent: Fields, error: RunpassError | None = None) -> Response:
    with desk.database.read() as tx:
        project = project_for(tx, desk.caller, uuid_in(request, "project_id"), Permission.RUN_APPLY)
        templates = _templates(tx, project)
        above = places_of(tx, desk.caller, [project])[project.id]
    form = _Form(NewForm, sent, error, templates)
    values = {"project": project, "above": above, "has_templates": bool(templates)}
    return form.answer(request, "environments/new.html", values)


def _draw_deploy(request: Request, desk: Desk, sent: Fields, error: RunpassError | None = None) -> Response:
    with desk.database.read() as tx:
        environment, project = environment_for(tx, desk.caller, uuid_in(request, "environment_id"), Permission.RUN_PLAN)
        templates = _templates(tx, project)
        above = places_of(tx, desk.caller, [project])[project.id]
    form = _Form(DeployForm, sent, error, templates)
    if not desk.caller.may(Permission.RUN_APPLY, project.scope):
        form.fields = for_planner(form.fields)
    values = {"environment": environment, "project": project, "above": above}
    return form.answer(request, "environments/deploy.html", values)


def _draw_destroy(request: Request, desk: Desk, sent: Fields, error: RunpassError | None = None) -> Response:
    with desk.database.read() as tx:
        environment, project = environment_for(tx, desk.caller, uuid_in(request, "environment_id"), Permission.RUN_PLAN)
        above = places_of(tx, desk.caller, [project])[project.id]
    form = _Form(DestroyForm, sent, error)
    values = {"environment": environment, "project": project, "above": above}
    return form.answer(request, "environments/destroy.html", values)


def _templates(tx: Transaction, project: Project) -> list[Template]:
    return list_templates(tx, project.organization_id, project_ids=project.path, limit=_MOST_TEMPLATES)


class _Form:
    """One form of one answer: what was sent, what is wrong with it, and the fields as they are drawn."""

    def __init__(
        self, form: type[BaseModel], sent: Fields, error: RunpassError | None, templates: Sequence[Template] = ()
    ) -> None:
        self._error = error
        self._wrong = form_errors(error) if isinstance(error, InvalidInput) else {}
        self.fields: list[FormField] = drawn(form, values_of(form, sent), self._wrong, templates)

    def answer(self, request: Request, template: str, values: Mapping[str, Any]) -> Response:
        """Give the page."""
        problem = problem_above(self._error, self._wrong, {one.name for one in self.fields})
        given = {**values, "fields": self.fields, "problem": problem, "once": new_key()}
        return answer_page(request, template, given, self._error)
