"""The pages of a project's credentials: what its runs get and from where, assigning one, and taking one away."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound, RunpassError
from runpass.protocol.credentials import SERVED
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.credentials import store
from runpass.server.credentials.assigned_view import assigned_rows
from runpass.server.credentials.assigning import (
    assign_credential,
    assigned_here,
    choices,
    owners,
    unassign_credential,
)
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.what_breaks import environments_that_lose
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.project_places import places_of
from runpass.server.tenancy.store import projects_of_path
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of, wrong_fields
from runpass.server.web.fields import Choice, FieldKind, FormField
from runpass.server.web.forms import posted
from runpass.server.web.pages import redirection
from runpass.server.web.paging import PAGE, offset_of, paged

_PATH: Final = "/projects/{project_id}/credentials"
_REMOVE: Final = f"{_PATH}/{{credential_id}}/remove"
_CHOSEN, _BY_ID = "credentialId", "otherId"
_MOST_CHOICES: Final = 200
_MOST_NAMED: Final = 20
"""Environments that a warning names."""
_LONGEST_NAME: Final = 255
_DONE: Final = {
    "assigned": "The credential is assigned. The next deployments get it.",
    "removed": "The credential was taken away. The next deployments run without it.",
}


def credentials_page(request: Request) -> Response:
    """Show what is assigned to a project and to those above it."""
    return _show(request, visit(request).actor, {})


async def assign(request: Request) -> Response:
    """Let the project use a credential."""
    return await answer_form(request, _assign, _show)


def ask_page(request: Request) -> Response:
    """Say what ends when a credential is taken away, and ask."""
    actor = visit(request).actor
    project_id, credential_id = uuid_in(request, "project_id"), uuid_in(request, "credential_id")
    with request.app.state.database.read() as tx:
        project, credential = assigned_here(tx, actor, project_id, credential_id)
        loss = environments_that_lose(tx, project, credential)
        above = places_of(tx, actor, [project])[project.id]
    values = {
        "project": project,
        "above": above,
        "credential": credential,
        "loss": loss,
        "named": loss.environments[:_MOST_NAMED],
    }
    return answer_page(request, "credentials/remove.html", values)


async def remove(request: Request) -> Response:
    """Take a credential away from the project."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    return await run_in_threadpool(_remove, request, who.actor)


ROUTES: Final = (
    Route(_PATH, credentials_page, methods=["GET"]),
    Route(_PATH, assign, methods=["POST"]),
    Route(_REMOVE, ask_page, methods=["GET"]),
    Route(_REMOVE, remove, methods=["POST"]),
)


def _assign(request: Request, actor: Actor, fields: Fields) -> str:
    project_id, state = uuid_in(request, "project_id"), request.app.state
    with state.database.write() as tx:
        # First the project of the path, so that what is not found after it is the credential, which has a field.
        project_for(tx, actor, project_id, Permission.MANAGE_CREDENTIALS)
        credential_id = _wanted(fields)
        try:
            assign_credential(tx, actor, project_id, credential_id, state.clock.now())
        except NotFound as error:
            raise InvalidInput.of(_CHOSEN, error.message) from None
    return f"/console/projects/{project_id}/credentials?done=assigned"


def _wanted(fields: Fields) -> UUID:
    """Give the id that was typed, or else the one that was chosen."""
    try:
        return UUID(fields.get(_BY_ID, "").strip() or fields.get(_CHOSEN, ""))
    except ValueError:
        raise InvalidInput.of(_CHOSEN, "must be the id of a credential: choose one") from None


def _remove(request: Request, actor: Actor) -> Response:
    project_id, state = uuid_in(request, "project_id"), request.app.state
    with state.database.write() as tx:
        unassign_credential(tx, actor, project_id, uuid_in(request, "credential_id"), state.clock.now())
    return redirection(f"/console/projects/{project_id}/credentials?done=removed")


def _show(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    name = request.query_params.get("name", "").strip()[:_LONGEST_NAME].replace("\x00", "")
    offset = 0 if error else offset_of(request)
    with request.app.state.database.read() as tx:
        project = project_for(tx, actor, uuid_in(request, "project_id"), Permission.VIEW_PROJECT)
        path = projects_of_path(tx, project)
        found = assigned_rows(actor, path, store.assigned_to(tx, project.path))
        may_manage = actor.may(Permission.MANAGE_CREDENTIALS, project.scope)
        offered = choices(tx, actor, project, name, _MOST_CHOICES + 1) if may_manage else []
    rows, paging = paged(request, found[offset : offset + PAGE + 1], {"name": name})
    sees_all = owners(actor, project).with_organizations
    wrong = wrong_fields(error)
    values = {
        "project": project,
        "above": [one for one in path[:-1] if actor.may(Permission.VIEW_PROJECT, one.scope)],
        "rows": rows,
        "paging": paging,
        "served": SERVED,
        "sees": actor.may(Permission.VIEW_CREDENTIALS, project.scope),
        "sees_all": sees_all,
        "may_manage": may_manage,
        "fields": _fields(offered, sees_all=sees_all, sent=sent, wrong=wrong),
        "offered": len(offered),
        "most": _MOST_CHOICES,
        "name": name,
        "problem": problem_of(error, "assigned"),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "credentials/project.html", values, error)


def _fields(
    offered: list[StoredCredential], *, sees_all: bool, sent: Fields, wrong: Mapping[str, str]
) -> list[FormField]:
    by_id = sent.get(_BY_ID, "").strip()
    listed = [Choice(str(item.id), f"{item.name} ({item.kind.value})") for item in offered[:_MOST_CHOICES]]
    chosen = FormField(
        name=_CHOSEN,
        label="Credential",
        help="One of the organization, of this project or of one above it, that is not assigned here yet.",
        example="",
        kind=FieldKind.CHOICE,
        is_required=sees_all,
        value=sent.get(_CHOSEN, ""),
        choices=(Choice("", "Choose one"), *listed),
        error="" if by_id else wrong.get(_CHOSEN, ""),
    )
    typed = FormField(
        name=_BY_ID,
        label="Or its id",
        help="A credential of the organization, which you may use but not see in a list: its id from an admin.",
        example="",
        kind=FieldKind.LINE,
        is_required=False,
        value=by_id,
        error=wrong.get(_CHOSEN, "") if by_id else "",
    )
    return [one for one in (chosen if offered or sees_all else None, None if sees_all and not by_id else typed) if one]
