"""The page of an organization's API keys: making one, whose secret is shown once, and deleting one."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput, RunpassError
from runpass.ids import ApiKeyId, OrganizationId
from runpass.server.access import store
from runpass.server.access.api_keys import KeyRequest, NewApiKey, create_api_key, end_api_key
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.store import ApiKey
from runpass.server.access.users import users
from runpass.server.access.visits import Visit, visit
from runpass.server.db.engine import Transaction
from runpass.server.people.person_forms import parsed
from runpass.server.people.role_forms import AT_FIRST, NewKey, fields_with_projects, roles_after
from runpass.server.web.answering import answer_page, problem_of
from runpass.server.web.forms import posted
from runpass.server.web.navigation import ORGANIZATIONS, Section
from runpass.server.web.pages import redirection


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as the page shows it."""

    key: ApiKey
    made_by: str
    roles: tuple[str, ...]


def keys_page(request: Request) -> Response:
    """List the keys."""
    return _page(request, _allowed(request))


async def make_key(request: Request) -> Response:
    """Make a key, and show its secret in this answer alone, which no cache keeps."""
    who = await run_in_threadpool(_allowed, request)
    fields = await posted(request, who.bearer)
    return await run_in_threadpool(_made, request, who, fields)


async def delete_key(request: Request) -> Response:
    """Delete a key."""
    who = await run_in_threadpool(_allowed, request)
    await posted(request, who.bearer)
    key_id = ApiKeyId(uuid_in(request, "key_id"))
    return await run_in_threadpool(_deleted, request, who, key_id)


NAVIGATION: Final = (Section("API keys", "api-keys", Permission.MANAGE_API_KEYS, 80),)
_KEYS: Final = "/organizations/{organization_id}/api-keys"
ROUTES: Final = (
    Route(_KEYS, keys_page, methods=["GET"]),
    Route(_KEYS, make_key, methods=["POST"]),
    Route(f"{_KEYS}/{{key_id}}/delete", delete_key, methods=["POST"]),
)


def _allowed(request: Request) -> Visit:
    who = visit(request)
    organization = OrganizationId(uuid_in(request, "organization_id"))
    who.actor.require_organization(organization, Permission.MANAGE_API_KEYS)
    return who


def _made(request: Request, who: Visit, fields: Any) -> Response:
    organization, clock = who.actor.organization_id, request.app.state.clock
    try:
        form = parsed(NewKey, fields)
        wanted = KeyRequest(organization, form.name, form.organization_role, roles_after(form, {}))
        with request.app.state.database.write() as tx:
            made = create_api_key(tx, wanted, by=who.actor.audit_name, clock=clock)
    except (InvalidInput, Conflict) as error:
        return _page(request, who, given=fields, error=error)
    return _page(request, who, made=made)


def _deleted(request: Request, who: Visit, key_id: ApiKeyId) -> Response:
    try:
        with request.app.state.database.write() as tx:
            end_api_key(tx, who.actor, key_id, request.app.state.clock.now())
    except Conflict as error:
        return _page(request, who, error=error)
    return redirection(f"{ORGANIZATIONS}/{who.actor.organization_id}/api-keys")


def _page(
    request: Request,
    who: Visit,
    *,
    given: Any = None,
    error: RunpassError | None = None,
    made: NewApiKey | None = None,
) -> Response:
    organization = who.actor.organization_id
    wrong = error if isinstance(error, InvalidInput) else None
    with request.app.state.database.read() as tx:
        projects = store.project_names(tx, organization)
        rows = _rows(tx, organization, projects)
    values = {
        "organization_id": organization,
        "rows": rows,
        "fields": fields_with_projects(NewKey, projects, given or AT_FIRST, wrong),
        "problem": problem_of(error, "made"),
        "made_id": made.key.api_key_id if made else "",
        "made_secret": made.secret.reveal() if made else "",
    }
    return answer_page(request, "people/api_keys.html", values, error)


def _rows(tx: Transaction, organization: OrganizationId, projects: Any) -> list[KeyRow]:
    found = store.list_api_keys(tx, organization)
    makers = users(tx, organization, {key.created_by for key in found})
    return [
        KeyRow(
            key,
            makers[key.created_by].name or key.created_by,
            tuple(f"{role.value} of {projects.get(item, item)}" for item, role in key.project_roles.items()),
        )
        for key in found
    ]
