"""The page of what runs have left behind at Vaults."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput
from runpass.ids import OrganizationId
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.keeper import LEEWAY
from runpass.server.deployments.login_model import StoredLogin
from runpass.server.deployments.outstanding import MOST, outstanding
from runpass.server.deployments.outstanding_places import RunPlace, places_of_runs
from runpass.server.deployments.outstanding_words import Words, summary, words
from runpass.server.deployments.token_store import HeldToken
from runpass.server.deployments.vault_logins import accessor_of
from runpass.server.tenancy import store
from runpass.server.tenancy.lookup import own_organization, project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.answering import answer_page
from runpass.server.web.navigation import Section

MOST_CHOICES: Final = 200
"""Projects to choose from."""


@dataclass(frozen=True, slots=True)
class LoginRow:
    """A login as the page shows it."""

    login: StoredLogin
    place: RunPlace
    words: Words
    accessor: str | None
    """For those who may see it."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An identity token as the page shows it."""

    token: HeldToken
    place: RunPlace
    accepted_until: datetime


def outstanding_page(request: Request) -> Response:
    """Show what is outstanding in the projects whose credentials the visitor may see."""
    actor = visit(request).actor
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    now: datetime = request.app.state.clock.now()
    with request.app.state.database.read() as tx:
        only = _chosen(request, tx, actor) if organization_id == actor.organization_id else None
        found = outstanding(tx, actor, organization_id, None, now, project_id=only.id if only else None)
        projects = _projects(tx, actor, only)
        organization = own_organization(tx, actor)
        runs = {login.deployment_id for login in (*found.known, *found.unknown)}
        runs |= {token.deployment_id for token in found.identity_tokens}
        places = places_of_runs(tx, organization_id, runs)
    shows = actor.may(Permission.VIEW_TOKEN_ACCESSORS, ScopePath(actor.organization_id))
    cipher: Cipher | None = request.app.state.cipher if shows else None
    values = {
        "organization": organization,
        "projects": projects,
        "only": only,
        "summary": summary(found),
        "known": [_row(login, places[login.deployment_id], cipher) for login in found.known],
        "unknown": [_row(login, places[login.deployment_id], cipher) for login in found.unknown],
        "identity_tokens": [
            TokenRow(token, places[token.deployment_id], token.expires_at + LEEWAY) for token in found.identity_tokens
        ],
        "is_complete": found.is_complete,
        "most": MOST,
        "now": now,
    }
    return answer_page(request, "deployments/outstanding.html", values)


NAVIGATION: Final = (Section("Outstanding", "outstanding", Permission.VIEW_CREDENTIALS, 60),)
ROUTES: Final = (Route("/organizations/{organization_id}/outstanding", outstanding_page, methods=["GET"]),)


def _row(login: StoredLogin, place: RunPlace, cipher: Cipher | None) -> LoginRow:
    accessor = None if cipher is None else accessor_of(cipher, login)
    return LoginRow(login, place, words(login), None if accessor is None else accessor.reveal())


def _chosen(request: Request, tx: Transaction, actor: Actor) -> Project | None:
    """Give the project that the page is to be about alone. Raises `NotFound` or `Forbidden`."""
    text = request.query_params.get("projectId", "")
    if not text:
        return None
    try:
        project_id = UUID(text)
    except ValueError:
        raise InvalidInput.of("projectId", "must be a UUID") from None
    return project_for(tx, actor, project_id, Permission.VIEW_CREDENTIALS)


def _projects(tx: Transaction, actor: Actor, only: Project | None) -> list[Project]:
    """Give projects to choose from, the chosen one among them."""
    visible = visible_to(tx, actor, Permission.VIEW_CREDENTIALS)
    found = store.list_projects(tx, actor.organization_id, visible, limit=MOST_CHOICES, as_tree=True)
    return found if only is None or only.id in {one.id for one in found} else [only, *found]
