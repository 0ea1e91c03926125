"""Pages of environments: those of a project, and one with the forms that change it, decide its end and archive it."""

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.protocol.wire import decode
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.deployments.changing import count_end
from runpass.server.deployments.dependencies import Desk, desk_of
from runpass.server.deployments.store import latest_deployments
from runpass.server.environments.changes import change_environment, change_lifespan
from runpass.server.environments.environment_forms import (
    LifespanForm,
    SettingsForm,
    drawn,
    form_errors,
    lifespan_request,
    settings_request,
)
from runpass.server.environments.environment_view import STATES, tone, view_of
from runpass.server.environments.page_forms import answer_form, problem_above
from runpass.server.environments.requests import ChangeEnvironment
from runpass.server.http.preconditions import entity_tag
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.environment_store import Wanted
from runpass.server.tenancy.lookup import environment_for, project_for
from runpass.server.tenancy.model import EnvironmentStatus
from runpass.server.tenancy.project_places import places_of
from runpass.server.web.answering import Fields, answer_page, done_of, seen_in
from runpass.server.web.fields import values_of
from runpass.server.web.paging import PAGE, offset_of, paged

_DONE: Final = {
    "created": "The environment was made. Nothing was deployed yet.",
    "changed": "The environment was changed.",
    "lifespan": "When it ends was decided.",
    "archived": "The environment was archived. What was deployed is still there.",
    "unarchived": "The environment is in use again.",
}
_MOST_SOUGHT: Final = 255
"""Characters of a name that is looked for."""


def list_page(request: Request) -> Response:
    """List a project's environments, oldest first, by a part of the name and by state."""
    actor = visit(request).actor
    offset, name, status = offset_of(request), request.query_params.get("name", "").strip(), _status(request)
    if len(name) > _MOST_SOUGHT or not name.isprintable():
        raise InvalidInput.of("name", f"must be text of at most {_MOST_SOUGHT} characters")
    with request.app.state.database.read() as tx:
        project = project_for(tx, actor, uuid_in(request, "project_id"), Permission.VIEW_PROJECT)
        wanted = Wanted(project_id=project.id, holds=name, status=status)
        found = environment_store.list_environments(tx, project.organization_id, wanted, limit=PAGE + 1, offset=offset)
        rows, paging = paged(request, found, {"name": name, "status": status.value if status else ""})
        latest = latest_deployments(tx, [item.id for item in rows])
        above = places_of(tx, actor, [project])[project.id]
    values = {
        "project": project,
        "above": above,
        "rows": [(item, STATES[item.status], tone(item.status), latest.get(item.id)) for item in rows],
        "paging": paging,
        "name": name,
        "status": status.value if status else "",
        "states": [(one.value, words) for one, words in STATES.items()],
        "may_create": actor.may(Permission.RUN_APPLY, project.scope),
    }
    return answer_page(request, "environments/environments.html", values)


def environment_page(request: Request) -> Response:
    """Show one environment: what it is, what it inherits, what ran, and the forms for those who may change it."""
    return _show(request, desk_of(request, visit(request).actor), {})


async def change(request: Request) -> Response:
    """Change an environment's name, and whether its plans need an approval."""
    return await answer_form(request, _change, _show)


async def lifespan(request: Request) -> Response:
    """Decide when an environment ends."""
    return await answer_form(request, _lifespan, _show)


async def archive(request: Request) -> Response:
    """Archive an environment, which cancels what is queued, or take that back."""
    return await answer_form(request, _archive, _show)


_ONE: Final = "/environments/{environment_id}"
ROUTES: Final = (
    Route("/projects/{project_id}/environments", list_page, methods=["GET"]),
    Route(_ONE, environment_page, methods=["GET"]),
    Route(_ONE, change, methods=["POST"]),
    Route(f"{_ONE}/lifespan", lifespan, methods=["POST"]),
    Route(f"{_ONE}/archive", archive, methods=["POST"]),
)


def _status(request: Request) -> EnvironmentStatus | None:
    text = request.query_params.get("status", "")
    try:
        return EnvironmentStatus(text) if text else None
    except ValueError:
        raise InvalidInput.of("status", "must be a state of environments") from None


def _change(request: Request, desk: Desk, fields: Fields) -> str:
    return _changed(request, desk, fields, "changed")


def _archive(request: Request, desk: Desk, fields: Fields) -> str:
    return _changed(request, desk, fields, "archived" if fields.get("isArchived") == "true" else "unarchived")


def _changed(request: Request, desk: Desk, fields: Fields, done: str) -> str:
    environment_id = uuid_in(request, "environment_id")
    needed = Permission.EDIT_ENVIRONMENT_SETTINGS if done == "changed" else Permission.ARCHIVE_ENVIRONMENT
    with desk.database.write() as tx:
        environment_for(tx, desk.caller, environment_id, needed)  # before anything is said about the form
        body = settings_request(fields) if done == "changed" else _archived(done)
        cancelled = change_environment(tx, desk, environment_id, body, if_match=seen_in(fields))
    for deployment in cancelled:
        count_end(deployment, deployment.status)
    return f"/console/environments/{environment_id}?done={done}"


def _archived(done: str) -> ChangeEnvironment:
    return decode(ChangeEnvironment, json.dumps({"isArchived": done == "archived"}).encode())


def _lifespan(request: Request, desk: Desk, fields: Fields) -> str:
    environment_id = uuid_in(request, "environment_id")
    with desk.database.write() as tx:
        environment_for(tx, desk.caller, environment_id, Permission.EDIT_ENVIRONMENT_SETTINGS)
        change_lifespan(tx, desk, environment_id, lifespan_request(fields), if_match=seen_in(fields))
    return f"/console/environments/{environment_id}?done=lifespan"


def _show(request: Request, desk: Desk, sent: Fields, error: RunpassError | None = None) -> Response:
    with desk.database.read() as tx:
        environment, project = environment_for(
            tx, desk.caller, uuid_in(request, "environment_id"), Permission.VIEW_PROJECT
        )
        view = view_of(tx, desk.caller, environment, project)
    wrong = form_errors(error) if isinstance(error, InvalidInput) else {}
    decided = {"name": environment.name, "requiresApproval": environment.requires_approval}
    settings = drawn(SettingsForm, decided | values_of(SettingsForm, sent) if "name" in sent else decided, wrong)
    life = drawn(LifespanForm, values_of(LifespanForm, sent), wrong)
    values = {
        "view": view,
        "environment": environment,
        "project": project,
        "seen": sent.get("seen") or entity_tag(environment.updated_at),
        "settings_fields": settings,
        "lifespan_fields": life,
        "problem": problem_above(error, wrong, {one.name for one in (*settings, *life)}),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "environments/environment.html", values, error)
