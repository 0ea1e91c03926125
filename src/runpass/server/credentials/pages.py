"""The pages of an organization's credentials: the list, one of them, and what its deletion breaks."""

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput
from runpass.ids import ProjectId
from runpass.protocol.credentials import CLASSES, CredentialKind
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.users import user, users
from runpass.server.access.visits import visit
from runpass.server.credentials.changing import delete_credential, manageable, scope_of, viewable
from runpass.server.credentials.kind_names import LABELS, offered
from runpass.server.credentials.list_store import Wanted, find_credentials
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import Page
from runpass.server.credentials.uses import assigned_to_projects, uses_of
from runpass.server.credentials.vault_setup import set_up_of
from runpass.server.db.engine import Transaction
from runpass.server.tenancy import store as tenancy
from runpass.server.tenancy.changing_projects import require_own
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.answering import answer_page, done_of
from runpass.server.web.fields import FormField, fields_of
from runpass.server.web.forms import posted
from runpass.server.web.navigation import Section
from runpass.server.web.pages import redirection
from runpass.server.web.paging import PAGE, offset_of, paged

DONE: Final = {
    "created": "The credential was made.",
    "changed": "The credential was changed.",
    "deleted": "The credential was deleted.",
}
_LONGEST_NAME: Final = 255


def credentials_page(request: Request) -> Response:
    """List the credentials of both scopes that the visitor may see; `name` and `kind` filter."""
    actor = visit(request).actor
    require_own(actor, uuid_in(request, "organization_id"))
    wanted = _wanted(request)
    with request.app.state.database.read() as tx:
        whole = actor.projects_with(Permission.VIEW_CREDENTIALS) is None
        visible = None if whole else visible_to(tx, actor, Permission.VIEW_CREDENTIALS)
        part = Page(PAGE + 1, offset_of(request))
        found = find_credentials(tx, actor.organization_id, visible, wanted, part)
        kind = wanted.kind.value if wanted.kind else ""
        rows, paging = paged(request, found, {"name": wanted.name, "kind": kind})
        owners = _owners(tx, actor, rows)
        makers = users(tx, actor.organization_id, {item.created_by for item in rows})
    values = {
        "organization_id": actor.organization_id,
        "rows": [(item, owners.get(item.project_id), makers[item.created_by].name or item.created_by) for item in rows],
        "labels": LABELS,
        "paging": paging,
        "wanted": wanted,
        "may_create": actor.may_somewhere(Permission.MANAGE_CREDENTIALS),
        "done": done_of(request, DONE),
    }
    return answer_page(request, "credentials/credentials.html", values)


def credential_page(request: Request) -> Response:
    """Show one credential: what it says, to those who manage it, and where it is assigned."""
    actor = visit(request).actor
    with request.app.state.database.read() as tx:
        credential = viewable(tx, actor, uuid_in(request, "credential_id"))
        may_manage = actor.may(Permission.MANAGE_CREDENTIALS, scope_of(tx, credential))
        values = {
            **_facts(tx, actor, credential),
            "may_manage": may_manage,
            "fields": shown_fields(credential) if may_manage else [],
            "uses": assigned_to_projects(tx, credential),
            "set_up": None,
        }
        if may_manage and credential.kind is CredentialKind.VAULT_OIDC:
            organization, settings = own_organization(tx, actor), request.app.state.settings
            values["set_up"] = set_up_of(tx, settings, organization, credential.value.clear, credential)
    values["done"] = done_of(request, DONE)
    return answer_page(request, "credentials/credential.html", values)


def ask_page(request: Request) -> Response:
    """Say what breaks with a credential, and ask."""
    actor = visit(request).actor
    with request.app.state.database.read() as tx:
        credential = manageable(tx, actor, uuid_in(request, "credential_id"))
        values = {**_facts(tx, actor, credential), "uses": uses_of(tx, credential)}
    return answer_page(request, "credentials/delete.html", values)


async def delete(request: Request) -> Response:
    """Delete a credential with its assignments."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    await run_in_threadpool(_delete, request, who.actor)
    return redirection(f"/console/organizations/{who.actor.organization_id}/credentials?done=deleted")


NAVIGATION: Final = (Section("Credentials", "credentials", Permission.VIEW_CREDENTIALS, 20),)
ROUTES: Final = (
    Route("/organizations/{organization_id}/credentials", credentials_page, methods=["GET"]),
    Route("/credentials/{credential_id}", credential_page, methods=["GET"]),
    Route("/credentials/{credential_id}/delete", ask_page, methods=["GET"]),
    Route("/credentials/{credential_id}/delete", delete, methods=["POST"]),
)


def shown_fields(credential: StoredCredential) -> list[FormField]:
    """Give what a credential says, by the fields of its class.

    SECURITY: for those who manage it alone, and nothing secret: what is secret is sealed and not opened for this.
    """
    return fields_of(CLASSES[credential.kind], credential.value.clear)


def _delete(request: Request, actor: Actor) -> None:
    state = request.app.state
    with state.database.write() as tx:
        delete_credential(tx, actor, uuid_in(request, "credential_id"), state.clock.now())


def _facts(tx: Transaction, actor: Actor, credential: StoredCredential) -> dict[str, Any]:
    maker = user(tx, actor.organization_id, credential.created_by)
    return {
        "credential": credential,
        "kind": offered(credential.kind),
        "owner": _owners(tx, actor, [credential]).get(credential.project_id),
        "made_by": maker.name or credential.created_by,
    }


def _owners(tx: Transaction, actor: Actor, found: list[StoredCredential]) -> dict[ProjectId | None, Project]:
    """Give the projects whose own credentials these are, by id."""
    ids = {item.project_id for item in found if item.project_id is not None}
    return dict(tenancy.list_by_id(tx, actor.organization_id, ids).items()) if ids else {}


def _wanted(request: Request) -> Wanted:
    name = request.query_params.get("name", "").strip()[:_LONGEST_NAME].replace("\x00", "")
    kind = request.query_params.get("kind", "")
    if kind and kind not in CredentialKind.__members__:
        raise InvalidInput.of("kind", "is no type of credentials")
    return Wanted(name, CredentialKind(kind) if kind else None)
