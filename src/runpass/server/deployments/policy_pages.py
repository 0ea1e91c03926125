"""The page of an organization's policies. It lives here because it shows what other policies would do to its runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput, PreconditionFailed, RunpassError
from runpass.ids import OrganizationId
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.credentials.recorded_issuers import RecordedIssuer, recorded_issuers, trusting_another
from runpass.server.db.engine import Transaction
from runpass.server.deployments.policy_preview import Shown, environments_to_choose, shown
from runpass.server.http.preconditions import entity_tag
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.keys import SHARED
from runpass.server.tenancy import policy_forms
from runpass.server.tenancy.changing_policies import OrganizationPolicies
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import IdentityIssuer, Organization
from runpass.server.tenancy.policy_requests import ChangePolicies
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of, seen_in
from runpass.server.web.fields import FormField
from runpass.server.web.forms import posted
from runpass.server.web.navigation import ORGANIZATIONS, Section
from runpass.server.web.pages import redirection

MOST_BYTES: Final = 131_072
"""Of a form: a hundred audiences, whose characters may be sent as three each."""
DESPITE: Final = "despiteVaults"
_DONE: Final = {"changed": "The policies were changed."}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form sent that is drawn again."""

    fields: Fields
    error: RunpassError | None = None


def policies_page(request: Request) -> Response:
    """Show the policies: as a form with a preview to those who may change them."""
    return _page(request, _allowed(request, Permission.VIEW_ORGANIZATION))


async def change(request: Request) -> Response:
    """Change the policies."""
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer, most_bytes=MOST_BYTES)
    return await run_in_threadpool(_changed, request, fields)


async def preview(request: Request) -> Response:
    """Say what the policies of a form would do, and change nothing: as a part of a page that is open, or as a page."""
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer, most_bytes=MOST_BYTES)
    return await run_in_threadpool(_previewed, request, fields)


NAVIGATION: Final = (Section("Policies", "policies", Permission.VIEW_ORGANIZATION, 70),)
_POLICIES: Final = "/organizations/{organization_id}/policies"
ROUTES: Final = (
    Route(_POLICIES, policies_page, methods=["GET"]),
    Route(_POLICIES, change, methods=["POST"]),
    Route(f"{_POLICIES}/preview", preview, methods=["POST"]),
)


def _allowed(request: Request, permission: Permission) -> Actor:
    actor = visit(request).actor
    actor.require_organization(OrganizationId(uuid_in(request, "organization_id")), permission)
    return actor


def _changed(request: Request, fields: Fields) -> Response:
    actor, state = _allowed(request, Permission.EDIT_ORGANIZATION_SETTINGS), request.app.state
    try:
        wanted = policy_forms.wanted_of_organization(policy_forms.sent_of_organization(fields))
        if fields.get(DESPITE) != "true":
            _check_vaults(request, actor, wanted)
        rule = OrganizationPolicies(state.database, state.rings, state.settings, state.clock)
        rule.change(actor, wanted, seen_in(fields))
    except (InvalidInput, Conflict, PreconditionFailed) as error:
        return _page(request, actor, Sent(fields, error))
    return redirection(f"{ORGANIZATIONS}/{actor.organization_id}/policies?done=changed")


def _check_vaults(request: Request, actor: Actor, wanted: ChangePolicies) -> None:
    """Raise `InvalidInput` for another issuer than the one that Vaults trust: their runs would all be refused."""
    with request.app.state.database.read() as tx:
        organization = own_organization(tx, actor)
        issuer = organization.id if wanted.identity_issuer is IdentityIssuer.OWN else SHARED
        if wanted.identity_issuer is None or issuer == organization.issuer:
            return
        url = addresses_of(request.app.state.settings).issuer_url(issuer)
        others = trusting_another(recorded_issuers(tx, actor.organization_id), url)
    if others:
        names = ", ".join(dict.fromkeys(f"{one.address} auth/{one.mount}" for one in others[:5]))
        raise InvalidInput.of(
            "identityIssuer", f"still trusted elsewise by {len(others)} recorded credentials' Vaults: {names}"
        )


def _previewed(request: Request, fields: Fields) -> Response:
    actor, state = _allowed(request, Permission.EDIT_ORGANIZATION_SETTINGS), request.app.state
    if "hx-request" not in request.headers:
        return _page(request, actor, Sent(fields))
    with state.database.read() as tx:
        values = {"preview": _preview(request, tx, actor, own_organization(tx, actor), Sent(fields))}
    answer: Response = state.pages.fragment(request, "deployments/_policy_preview.html", values)
    return answer


def _preview(
    request: Request, tx: Transaction, actor: Actor, organization: Organization, sent: Sent | None
) -> Shown | None:
    chosen = sent.fields.get("environmentId", "") if sent else request.query_params.get("environmentId", "")
    proposed = policy_forms.sent_of_organization(sent.fields) if sent else None
    return shown(tx, actor, organization, (chosen, proposed), request.app.state.settings)


def _page(request: Request, actor: Actor, sent: Sent | None = None) -> Response:
    state, may_edit = request.app.state, actor.may_somewhere(Permission.EDIT_ORGANIZATION_SETTINGS)
    error = sent.error if sent else None
    with state.database.read() as tx:
        organization = own_organization(tx, actor)
        values: dict[str, Any] = {"organization": organization, "may_edit": may_edit, "preview": None}
        if may_edit:
            preview = _preview(request, tx, actor, organization, sent)
            values["preview"] = preview
            chosen = preview.environment_id if preview else ""
            values["environments"] = environments_to_choose(tx, actor, chosen)
            values |= _vaults(request, organization, recorded_issuers(tx, actor.organization_id))
    given = policy_forms.values_of_organization(organization)
    given |= policy_forms.sent_of_organization(sent.fields) if sent else {}
    fields = _fields(request, organization, given, error)
    values |= {
        "identity": [fields[name] for name in policy_forms.IDENTITY],
        "others": [fields[name] for name in policy_forms.OTHERS],
        "seen": (sent.fields.get("seen") if sent else None) or entity_tag(organization.updated_at),
        "asks_despite": bool(fields["identityIssuer"].error),
        "problem": problem_of(error),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "deployments/policies.html", values, error)


def _fields(
    request: Request, organization: Organization, given: Mapping[str, Any], error: RunpassError | None
) -> dict[str, FormField]:
    """Give the fields. Where the operator gives organizations no issuers, what was chosen before can be kept."""
    fields = policy_forms.fields_of_organization(given, error if isinstance(error, InvalidInput) else None)
    all_of_them = frozenset(IdentityIssuer)
    some = frozenset({IdentityIssuer.SHARED, organization.identity_issuer})
    allowed = all_of_them if request.app.state.settings.organization_issuers else some
    fields["identityIssuer"] = policy_forms.with_choices(fields["identityIssuer"], allowed)
    return fields


def _vaults(request: Request, organization: Organization, found: list[RecordedIssuer]) -> dict[str, Any]:
    """Give what is recorded of the Vaults, and which of them refuse the tokens of the issuer that is chosen now."""
    addresses = addresses_of(request.app.state.settings)
    now = addresses.issuer_url(organization.issuer)
    return {
        "shared_url": addresses.issuer_url(SHARED),
        "own_url": addresses.issuer_url(organization.id),
        "issuer_now": now,
        "recorded": found,
        "refusing": trusting_another(found, now),
    }
