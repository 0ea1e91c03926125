"""The page of an organization's relying parties: making one, whose secret is shown once, and removing one."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput, RunpassError
from runpass.ids import OrganizationId, RelyingPartyId
from runpass.protocol.wire import decode
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.users import users
from runpass.server.access.visits import Visit, visit
from runpass.server.issuer.addresses import addresses_of
from runpass.server.relying_parties import store
from runpass.server.relying_parties.registering import NewRelyingParty, register, remove
from runpass.server.relying_parties.requests import CreateRelyingParty
from runpass.server.web.answering import answer_page, done_of, problem_of, wrong_fields
from runpass.server.web.fields import fields_of, values_of
from runpass.server.web.forms import posted
from runpass.server.web.navigation import ORGANIZATIONS, Section
from runpass.server.web.pages import redirection

FORM: Final = ("name", "audiences")
MOST_BYTES: Final = 65_536
"""Of a form: twenty audiences, whose characters may be sent as three each."""
_DONE: Final = {"removed": "The relying party was removed. It is told nothing more."}


def parties_page(request: Request) -> Response:
    """List the relying parties."""
    return _page(request, _allowed(request))


async def create(request: Request) -> Response:
    """Make a relying party, and show its secret in this answer alone, which no cache keeps."""
    who = await run_in_threadpool(_allowed, request)
    fields = await posted(request, who.bearer, most_bytes=MOST_BYTES)
    return await run_in_threadpool(_created, request, who, fields)


async def end(request: Request) -> Response:
    """Remove a relying party."""
    who = await run_in_threadpool(_allowed, request)
    await posted(request, who.bearer)
    return await run_in_threadpool(_removed, request, who, RelyingPartyId(uuid_in(request, "party_id")))


NAVIGATION: Final = (Section("Relying parties", "relying-parties", Permission.MANAGE_RELYING_PARTIES, 54),)
_PARTIES: Final = "/organizations/{organization_id}/relying-parties"
ROUTES: Final = (
    Route(_PARTIES, parties_page, methods=["GET"]),
    Route(_PARTIES, create, methods=["POST"]),
    Route(f"{_PARTIES}/{{party_id}}/remove", end, methods=["POST"]),
)


def _allowed(request: Request) -> Visit:
    who = visit(request)
    organization = OrganizationId(uuid_in(request, "organization_id"))
    who.actor.require_organization(organization, Permission.MANAGE_RELYING_PARTIES)
    return who


def _created(request: Request, who: Visit, fields: Mapping[str, str]) -> Response:
    organization, clock = who.actor.organization_id, request.app.state.clock
    given = {name: value for name, value in values_of(CreateRelyingParty, fields).items() if name in FORM}
    try:
        wanted = decode(CreateRelyingParty, json.dumps({**given, "organizationId": str(organization)}).encode())
        with request.app.state.database.write() as tx:
            made = register(tx, organization, wanted.name, wanted.audiences, by=who.actor, clock=clock)
    except (InvalidInput, Conflict) as error:
        return _page(request, who, given=given, error=error)
    return _page(request, who, made=made)


def _removed(request: Request, who: Visit, party_id: RelyingPartyId) -> Response:
    organization = who.actor.organization_id
    with request.app.state.database.write() as tx:
        remove(tx, organization, party_id, by=who.actor, clock=request.app.state.clock)
    return redirection(f"{ORGANIZATIONS}/{organization}/relying-parties?done=removed")


def _page(
    request: Request,
    who: Visit,
    *,
    given: Mapping[str, Any] | None = None,
    error: RunpassError | None = None,
    made: NewRelyingParty | None = None,
) -> Response:
    organization = who.actor.organization_id
    with request.app.state.database.read() as tx:
        parties = store.list_all(tx, organization)
        makers = users(tx, organization, {party.created_by for party in parties})
    wrong = wrong_fields(error)
    values = {
        "organization_id": organization,
        "rows": [(party, makers[party.created_by].name or party.created_by) for party in parties],
        "fields": [one for one in fields_of(CreateRelyingParty, given, wrong) if one.name in FORM],
        "problem": problem_of(error, "made"),
        "done": done_of(request, _DONE),
        "made": made.party if made else None,
        "made_secret": made.secret.reveal() if made else "",
        "introspection_url": addresses_of(request.app.state.settings).introspection_url,
    }
    return answer_page(request, "relying_parties/relying_parties.html", values, error)
