"""The page of a project's policy, and of what is in force there."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.http.preconditions import entity_tag
from runpass.server.tenancy.changing_policies import change_project_policy
from runpass.server.tenancy.lookup import own_organization, policy_at, project_for
from runpass.server.tenancy.policy_forms import OF_PROJECT, fields_of_project, values_of_project, wanted_of_project
from runpass.server.tenancy.project_places import places_of
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of

_DONE: Final = {"changed": "The policy was changed."}


def policy_page(request: Request) -> Response:
    """Show what is in force in a project, and the form of its own policy to those who may change it."""
    return _page(request, visit(request).actor)


async def change(request: Request) -> Response:
    """Change a project's own policy."""
    return await answer_form(request, _changed, _page)


_POLICIES: Final = "/projects/{project_id}/policies"
ROUTES: Final = (Route(_POLICIES, policy_page, methods=["GET"]), Route(_POLICIES, change, methods=["POST"]))


def _changed(request: Request, actor: Actor, fields: Fields) -> str:
    state, project_id = request.app.state, uuid_in(request, "project_id")
    with state.database.read() as tx:
        project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
    # The form does not show all of the policy: what was read for it must still be there.
    seen = fields.get("seen") or entity_tag(project.updated_at)
    wanted = wanted_of_project(project, fields)
    change_project_policy(state.database, actor, wanted, if_match=seen, clock=state.clock)
    return f"/console/projects/{project_id}/policies?done=changed"


def _page(request: Request, actor: Actor, sent: Fields | None = None, error: RunpassError | None = None) -> Response:
    with request.app.state.database.read() as tx:
        project = project_for(tx, actor, uuid_in(request, "project_id"), Permission.VIEW_PROJECT)
        in_force = policy_at(tx, own_organization(tx, actor), project)
        above = places_of(tx, actor, [project])[project.id]
    given = values_of_project(project)
    if sent is not None:
        given |= {name: sent.get(name, "") for name in OF_PROJECT}
    values = {
        "project": project,
        "above": above,
        "in_force": in_force,
        "may_edit": actor.may(Permission.EDIT_PROJECT_SETTINGS, project.scope),
        "sees_organization": actor.may_somewhere(Permission.VIEW_ORGANIZATION),
        "fields": fields_of_project(given, error if isinstance(error, InvalidInput) else None),
        "seen": (sent or {}).get("seen") or entity_tag(project.updated_at),
        "problem": problem_of(error),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "tenancy/project_policies.html", values, error)
