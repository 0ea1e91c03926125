"""The pages that make and change a credential: a choice of its kind, then the form of that kind."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound, RunpassError
from runpass.protocol.credentials import CredentialKind
from runpass.server.access.actors import Actor, Denied
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.credentials.changing import change_credential, create_credential, manageable
from runpass.server.credentials.form_fields import (
    MOST_BYTES,
    SCOPE,
    change,
    creation,
    place_fields,
    value_fields,
    value_from,
    with_kept_secrets,
)
from runpass.server.credentials.kind_names import kind_groups, offered
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.vault_setup import USED, VaultSetup, set_up_of
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import check_unchanged, entity_tag
from runpass.server.tenancy.changing_projects import require_own
from runpass.server.tenancy.lookup import own_organization
from runpass.server.web.answering import Fields, answer_page, seen_in
from runpass.server.web.errors import in_sentences
from runpass.server.web.fields import errors_of

_PARAMS: Final = ",".join(("form_token", *USED))
"""SECURITY: what the form sends while it is typed; a key that is being pasted is not among it."""


def new_page(request: Request) -> Response:
    """Offer the kinds; with `kind`, show the form of that one. `project` says whom it is for."""
    actor = visit(request).actor
    check_may_create(request, actor)
    kind = request.query_params.get("kind", "")
    project = request.query_params.get("project", "")
    if kind:
        return show_new(request, actor, kind_of(kind), {SCOPE: project})
    values = {"organization_id": actor.organization_id, "groups": kind_groups(), "project": project}
    return answer_page(request, "credentials/kinds.html", values)


async def create(request: Request) -> Response:
    """Make a credential, and go to its page."""
    return await answer_form(request, _create, _new_again, most_bytes=MOST_BYTES)


def edit_page(request: Request) -> Response:
    """Show the form that changes a credential."""
    return show_edit(request, visit(request).actor, {})


async def edit(request: Request) -> Response:
    """Change a credential; secrets that are left empty stay."""
    return await answer_form(request, _edit, show_edit, most_bytes=MOST_BYTES)


ROUTES: Final = (
    Route("/organizations/{organization_id}/credentials/new", new_page, methods=["GET"]),
    Route("/organizations/{organization_id}/credentials", create, methods=["POST"]),
    Route("/credentials/{credential_id}/edit", edit_page, methods=["GET"]),
    Route("/credentials/{credential_id}/edit", edit, methods=["POST"]),
)


def check_may_create(request: Request, actor: Actor) -> None:
    """Raise unless the actor may make a credential somewhere in the organization of the path, which is its own."""
    require_own(actor, uuid_in(request, "organization_id"))
    if not actor.may_somewhere(Permission.MANAGE_CREDENTIALS):
        raise Denied(Permission.MANAGE_CREDENTIALS)


def kind_of(text: str) -> CredentialKind:
    """Give the kind of this name. Raises `InvalidInput`."""
    if text not in CredentialKind.__members__:
        raise InvalidInput.of("type", "is no type of credentials")
    return CredentialKind(text)


def show_new(
    request: Request, actor: Actor, kind: CredentialKind, sent: Fields, error: RunpassError | None = None
) -> Response:
    """Give the form of a new credential, as it was sent and with what is wrong with it."""
    wrong = _wrong(error)
    given = value_from(kind, sent) if "type" in sent else {}
    with request.app.state.database.read() as tx:
        place = place_fields(tx, actor, sent, wrong)
        set_up = _set_up(request, tx, actor, kind, given)
    below = f"/console/organizations/{actor.organization_id}/credentials"
    values = {
        "organization_id": actor.organization_id,
        "credential": None,
        "place": place,
        "fields": value_fields(kind, given, wrong),
        "action": below,
        "back": f"{below}/new",
        "set_up": set_up,
        "set_up_path": f"{below}/set-up",
    }
    return _form(request, kind, values, error)


def show_edit(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    """Give the form of a change, as it was sent and with what is wrong with it."""
    with request.app.state.database.read() as tx:
        credential = manageable(tx, actor, uuid_in(request, "credential_id"))
        given = value_from(credential.kind, sent) if sent else credential.value.clear
        set_up = _set_up(request, tx, actor, credential.kind, given, credential)
    here = f"/console/credentials/{credential.id}"
    values = {
        "organization_id": actor.organization_id,
        "credential": credential,
        "seen": sent.get("seen") or entity_tag(credential.updated_at),
        "place": (),
        "fields": value_fields(credential.kind, given, _wrong(error), kept=credential),
        "action": f"{here}/edit",
        "back": here,
        "set_up": set_up,
        "set_up_path": f"{here}/set-up",
    }
    return _form(request, credential.kind, values, error)


def _create(request: Request, actor: Actor, sent: Fields) -> str:
    require_own(actor, uuid_in(request, "organization_id"))
    kind, state = kind_of(sent.get("type", "")), request.app.state
    try:
        wanted = creation(actor, kind, sent)
        with state.database.write() as tx:
            made = create_credential(tx, actor, wanted, cipher=state.cipher, now=state.clock.now())
    except NotFound as error:  # the organization is the visitor's own, so it is the project that is none
        raise InvalidInput.of(SCOPE, error.message) from None
    return f"/console/credentials/{made.id}?done=created"


def _new_again(request: Request, actor: Actor, sent: Fields, error: RunpassError) -> Response:
    return show_new(request, actor, kind_of(sent.get("type", "")), sent, error)


def _edit(request: Request, actor: Actor, sent: Fields) -> str:
    credential_id, state = uuid_in(request, "credential_id"), request.app.state
    with state.database.write() as tx:
        seen = manageable(tx, actor, credential_id)
        check_unchanged(seen_in(sent), seen.updated_at)
        wanted = change(seen.kind, with_kept_secrets(state.cipher, seen, value_from(seen.kind, sent)))
        change_credential(tx, actor, seen, wanted, cipher=state.cipher, now=state.clock.now())
    return f"/console/credentials/{credential_id}?done=changed"


def _form(request: Request, kind: CredentialKind, values: dict[str, Any], error: RunpassError | None) -> Response:
    shown = {
        **values,
        "set_up_params": _PARAMS,
        "kind": offered(kind),
        "problem": _problem(error, has_secrets=values["fields"].has_secrets),
    }
    return answer_page(request, "credentials/form.html", shown, error)


def _set_up(
    request: Request,
    tx: Transaction,
    actor: Actor,
    kind: CredentialKind,
    given: Mapping[str, Any],
    *kept: StoredCredential,
) -> VaultSetup | None:
    """Give the set-up of the Vault; nothing for other kinds."""
    if kind is not CredentialKind.VAULT_OIDC:
        return None
    return set_up_of(tx, request.app.state.settings, own_organization(tx, actor), given, *kept)


def _wrong(error: RunpassError | None) -> dict[str, str]:
    return errors_of(error, prefix="value.") if isinstance(error, InvalidInput) else {}


def _problem(error: RunpassError | None, *, has_secrets: bool) -> str:
    """Give what is wrong with the form as a whole."""
    if error is None:
        return ""
    said = "See what is wrong below." if isinstance(error, InvalidInput) else in_sentences(error)
    again = " Type what is secret again: it is not sent back." if has_secrets else ""
    return f"Nothing was saved. {said}{again}"
