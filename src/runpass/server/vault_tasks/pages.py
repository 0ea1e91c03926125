"""The page of an organization's issuer: its keys, the plan of their rotation, and which of its Vaults have them.

Only what anybody may fetch, but for the Vaults, which are shown to those who may see all credentials. The keys are the
operator's (a rotation is a command on the server), so nothing can be changed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.ids import OrganizationId
from runpass.server.access.actors import ScopePath
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.key_timeline import Timeline, timeline
from runpass.server.issuer.keys import SHARED, IssuerScope, KeyRecord, KeyState
from runpass.server.issuer.rotation import Policy
from runpass.server.issuer.store import list_records
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import Organization
from runpass.server.vault_tasks import key_check_store
from runpass.server.vault_tasks.key_check_model import Confirmation, by_vault, confirmation
from runpass.server.vault_tasks.known_vaults import vaults_of
from runpass.server.web.answering import answer_page
from runpass.server.web.navigation import Section

MOST_SHOWN: Final = 500
"""Credentials whose Vaults one page shows."""
CHECKED: Final = frozenset({KeyState.UPCOMING, KeyState.ACTIVE})


@dataclass(frozen=True, slots=True)
class IssuerView:
    """An issuer as the page shows it."""

    is_shared: bool
    is_chosen: bool
    """Whether tokens of the organization are of this one."""
    url: str
    jwks_url: str
    picture: Timeline


@dataclass(frozen=True, slots=True)
class Standings:
    """What is known of each of the organization's Vaults and one key."""

    key: KeyRecord
    vaults: Sequence[Confirmation]


def signing_keys_page(request: Request) -> Response:
    """Show the issuer, its keys, and who has seen them."""
    actor = visit(request).actor
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    scope = actor.require_organization(organization_id, Permission.VIEW_ORGANIZATION)
    sees_vaults = actor.may(Permission.VIEW_CREDENTIALS, ScopePath(scope.organization_id))
    now: datetime = request.app.state.clock.now()
    with request.app.state.database.read() as tx:
        organization = own_organization(tx, actor)
        shared, own = (list_records(tx, issuer, with_gone=True) for issuer in (SHARED, organization.id))
        standings = _standings(tx, organization, shared, now) if sees_vaults else []
    policy: Policy = request.app.state.rings.policy
    issuers = [
        _issuer(request, organization, issuer, timeline(keys, now, policy))
        for issuer, keys in ((SHARED, shared), (organization.id, own))
        if keys or issuer is SHARED
    ]
    values = {
        "organization": organization,
        "issuers": sorted(issuers, key=lambda one: not one.is_chosen),
        "policy": policy,
        "sees_vaults": sees_vaults,
        "standings": standings,
        "most": MOST_SHOWN,
        "now": now,
    }
    return answer_page(request, "vault_tasks/signing_keys.html", values)


NAVIGATION: Final = (Section("Signing keys", "signing-keys", Permission.VIEW_ORGANIZATION, 65),)
ROUTES: Final = (Route("/organizations/{organization_id}/signing-keys", signing_keys_page, methods=["GET"]),)


def _issuer(request: Request, organization: Organization, issuer: IssuerScope, picture: Timeline) -> IssuerView:
    addresses = addresses_of(request.app.state.settings)
    return IssuerView(
        is_shared=issuer is SHARED,
        is_chosen=organization.issuer == issuer,
        url=addresses.issuer_url(issuer),
        jwks_url=addresses.jwks_url(issuer),
        picture=picture,
    )


def _standings(
    tx: Transaction, organization: Organization, keys: Sequence[KeyRecord], now: datetime
) -> list[Standings]:
    """Give what is known of the organization's own Vaults. Only the shared issuer's keys are checked at any."""
    if organization.issuer is not SHARED:
        return []
    vaults = vaults_of(tx, organization.id, MOST_SHOWN)
    found = []
    for key in keys if vaults else ():
        if key.state in CHECKED:
            checks = key_check_store.own_checks_about(tx, organization.id, key.kid)
            found.append(Standings(key, [confirmation(*pair, now) for pair in by_vault(vaults, checks)]))
    return found
