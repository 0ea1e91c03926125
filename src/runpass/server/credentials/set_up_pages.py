"""The set-up of a Vault beside the form of its credential: it follows the form as it is typed.

A script asks for the parts that change. Without one, a button shows the form again, as it was typed, with the set-up.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import NotFound
from runpass.protocol.credentials import CredentialKind
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.visits import visit
from runpass.server.credentials.changing import manageable
from runpass.server.credentials.form_fields import MOST_BYTES, value_from
from runpass.server.credentials.form_pages import check_may_create, show_edit, show_new
from runpass.server.credentials.vault_setup import set_up_of
from runpass.server.tenancy.lookup import own_organization
from runpass.server.web.forms import posted

Sent = Mapping[str, str]


async def new_set_up(request: Request) -> Response:
    """Give the set-up for a credential that is not made yet."""
    who = await run_in_threadpool(visit, request)
    sent = await posted(request, who.bearer, most_bytes=MOST_BYTES)
    return await run_in_threadpool(_new, request, who.actor, sent)


async def set_up(request: Request) -> Response:
    """Give the set-up for a credential as its form would change it."""
    who = await run_in_threadpool(visit, request)
    sent = await posted(request, who.bearer, most_bytes=MOST_BYTES)
    return await run_in_threadpool(_changed, request, who.actor, sent)


ROUTES: Final = (
    Route("/organizations/{organization_id}/credentials/set-up", new_set_up, methods=["POST"]),
    Route("/credentials/{credential_id}/set-up", set_up, methods=["POST"]),
)


def _new(request: Request, actor: Actor, sent: Sent) -> Response:
    check_may_create(request, actor)
    if not _asks_for_parts(request):
        return show_new(request, actor, CredentialKind.VAULT_OIDC, {**sent, "type": CredentialKind.VAULT_OIDC.value})
    with request.app.state.database.read() as tx:
        organization = own_organization(tx, actor)
        found = set_up_of(tx, request.app.state.settings, organization, value_from(CredentialKind.VAULT_OIDC, sent))
    return _parts(request, found)


def _changed(request: Request, actor: Actor, sent: Sent) -> Response:
    with request.app.state.database.read() as tx:
        credential = manageable(tx, actor, uuid_in(request, "credential_id"))
        if credential.kind is not CredentialKind.VAULT_OIDC:
            raise NotFound("this credential is for no Vault")
        if _asks_for_parts(request):
            value = value_from(CredentialKind.VAULT_OIDC, sent)
            organization = own_organization(tx, actor)
            return _parts(request, set_up_of(tx, request.app.state.settings, organization, value, credential))
    return show_edit(request, actor, sent)


def _asks_for_parts(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _parts(request: Request, found: Any) -> Response:
    answer: Response = request.app.state.pages.fragment(request, "credentials/set_up_parts.html", {"set_up": found})
    return answer
