"""The page of one project. It lives here because it shows what was last deployed, and can end what is queued."""

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput, NotFound, RunpassError
from runpass.protocol.wire import decode
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.deployments.store import latest_deployments
from runpass.server.environments.environment_view import STATES, tone
from runpass.server.environments.project_end import check_deletable, end_project
from runpass.server.http.preconditions import entity_tag
from runpass.server.tenancy import environment_store, store
from runpass.server.tenancy.changing_projects import change_project, move_project
from runpass.server.tenancy.environment_store import Wanted
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_pages import MOST_BYTES
from runpass.server.tenancy.project_places import places_of
from runpass.server.tenancy.project_requests import ChangeProject, MoveProject
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of, seen_in, wrong_fields
from runpass.server.web.fields import fields_of, values_of
from runpass.server.web.paging import PAGE, offset_of, paged

_FORM: Final = ("name", "description", "isArchived")
_DONE: Final = {
    "created": "The project was made.",
    "changed": "The project was changed.",
    "moved": "The project was moved, with all below it.",
}


def project_page(request: Request) -> Response:
    """Show one project: what stands in it, and the forms for those who may change it."""
    return _show(request, visit(request).actor, {})


async def change(request: Request) -> Response:
    """Change a project's name and description; archive it, or take that back. Its tags stay."""
    return await answer_form(request, _change, _show, most_bytes=MOST_BYTES)


async def move(request: Request) -> Response:
    """Put a project somewhere else in the tree."""
    return await answer_form(request, _move, _show, most_bytes=MOST_BYTES)


async def delete(request: Request) -> Response:
    """Delete a project."""
    return await answer_form(request, _delete, _show, most_bytes=MOST_BYTES)


ROUTES: Final = (
    Route("/projects/{project_id}", project_page, methods=["GET"]),
    Route("/projects/{project_id}", change, methods=["POST"]),
    Route("/projects/{project_id}/move", move, methods=["POST"]),
    Route("/projects/{project_id}/delete", delete, methods=["POST"]),
)


def _change(request: Request, actor: Actor, fields: Fields) -> str:
    project_id, state = uuid_in(request, "project_id"), request.app.state
    with state.database.write() as tx:
        project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
        given = {**values_of(ChangeProject, fields), "tags": project.tags}
        wanted = decode(ChangeProject, json.dumps(given).encode())
        change_project(tx, actor, project_id, wanted, if_match=seen_in(fields), now=state.clock.now())
    return f"/console/projects/{project_id}?done=changed"


def _move(request: Request, actor: Actor, fields: Fields) -> str:
    project_id, state = uuid_in(request, "project_id"), request.app.state
    target = {"targetProjectId": None} | values_of(MoveProject, fields)
    with state.database.write() as tx:
        # First the project of the path, so that what is not found after it is the target, which has a field.
        project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
        wanted = decode(MoveProject, json.dumps(target).encode())
        try:
            move_project(
                tx, actor, project_id, wanted.target_project_id, if_match=seen_in(fields), now=state.clock.now()
            )
        except NotFound as error:
            raise InvalidInput.of("targetProjectId", error.message) from None
    return f"/console/projects/{project_id}?done=moved"


def _delete(request: Request, actor: Actor, fields: Fields) -> str:
    project_id, state = uuid_in(request, "project_id"), request.app.state
    end_project(state.database, actor, project_id, if_match=seen_in(fields), now=state.clock.now())
    return f"/console/organizations/{actor.organization_id}/projects?done=deleted"


def _show(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    with request.app.state.database.read() as tx:
        project = project_for(tx, actor, uuid_in(request, "project_id"), Permission.VIEW_PROJECT)
        values = {**_inside(request, tx, project), "above": places_of(tx, actor, [project])[project.id]}
        values["stops"] = _what_stops(tx, project)
    wrong = wrong_fields(error)
    now = {"name": project.name, "description": project.description, "isArchived": project.is_archived}
    changed = now | values_of(ChangeProject, sent) if "name" in sent else now
    values |= {
        "project": project,
        "seen": sent.get("seen") or entity_tag(project.updated_at),
        "may_edit": actor.may(Permission.EDIT_PROJECT_SETTINGS, project.scope),
        "may_deploy": actor.may(Permission.RUN_APPLY, project.scope) and not project.is_archived,
        "may_create": actor.may(Permission.CREATE_PROJECT, project.scope),
        "change_fields": [one for one in fields_of(ChangeProject, changed, wrong) if one.name in _FORM],
        "move_fields": fields_of(MoveProject, _target(project, sent), wrong),
        "problem": problem_of(error),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "environments/project.html", values, error)


def _target(project: Project, sent: Fields) -> dict[str, str]:
    parent = str(project.parent_project_id or "")
    return {"targetProjectId": sent.get("targetProjectId", parent)}


def _inside(request: Request, tx: Transaction, project: Project) -> dict[str, Any]:
    """Give the first sub-projects of a project, and a page of its environments with their newest deployments."""
    organization_id = project.organization_id
    below = store.list_projects(tx, organization_id, store.directly_below(project), limit=PAGE + 1)
    found = environment_store.list_environments(
        tx, organization_id, Wanted(project_id=project.id), limit=PAGE + 1, offset=offset_of(request)
    )
    rows, paging = paged(request, found)
    latest = latest_deployments(tx, [item.id for item in rows])
    return {
        "sub_projects": below[:PAGE],
        "has_more": len(below) > PAGE,
        "environments": [(item, STATES[item.status], tone(item.status), latest.get(item.id)) for item in rows],
        "paging": paging if request.method == "GET" else None,
    }


def _what_stops(tx: Transaction, project: Project) -> str:
    """Say why a project cannot be deleted now; empty if nothing does. The rule looks again, with the tree locked."""
    try:
        check_deletable(tx, project)
    except Conflict as error:
        return f"{error.message}: {error.hint}"
    return ""
