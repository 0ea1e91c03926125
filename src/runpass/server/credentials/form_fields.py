"""The form of a credential, drawn from the class of its kind, and what the form sends as the API has it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from runpass.errors import InvalidInput
from runpass.protocol.credentials import CLASSES, CredentialKind
from runpass.protocol.wire import invalid_input
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.requests import ChangeCredential, CreateCredential
from runpass.server.credentials.sealing import unseal
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.store import list_projects
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.fields import Choice, FieldKind, FormField, fields_of, values_of

MOST_BYTES: Final = 1_048_576
"""Of a form with three files of 64 KiB, of which each byte may be sent as three."""
MOST_CHOICES: Final = 200
"""Projects that are offered to choose from; where there are more, one is named by its id."""
NAME: Final = "name"
SCOPE: Final = "scope"
OWN: Final = frozenset({NAME, SCOPE, "type", "seen", "form_token"})
"""Fields of the form that are none of the value: no kind may have one of these names."""
_VAULT_FIRST: Final = frozenset(
    {"address", "version", "roleName", "jwtAuthBackendPath", "namespace", "tokenFormat"},
)
_ROOT: Final = "root"
_FILE: Final = "clientKey"
_BESIDE: Final = "clientCertificate"
"""The one secret that may be left out belongs to this field, and goes with it."""


@dataclass(frozen=True, slots=True)
class ValueFields:
    """The fields of a value as a form shows them."""

    first: tuple[FormField, ...]
    further: tuple[FormField, ...]
    """Those that few people need: folded away."""

    @property
    def is_open(self) -> bool:
        """Whether something is wrong among those that are folded away."""
        return any(one.error for one in self.further)

    @property
    def has_secrets(self) -> bool:
        """Whether something would have to be typed again."""
        return any(one.kind.is_secret for one in (*self.first, *self.further))


def value_fields(
    kind: CredentialKind,
    given: Mapping[str, Any],
    wrong: Mapping[str, str] | None = None,
    *,
    kept: StoredCredential | None = None,
) -> ValueFields:
    """Give the fields of a kind's value; `kept` is the credential that the form changes."""
    shown = dict(given)
    if shown.get("secretNamespace") == "":
        shown["secretNamespace"] = _ROOT  # an empty field means that of the auth method
    found = [_as_kept(_plain(one), kept) for one in fields_of(CLASSES[kind], shown, wrong)]
    if kind is not CredentialKind.VAULT_OIDC:
        return ValueFields(tuple(found), ())
    return ValueFields(
        tuple(one for one in found if one.name in _VAULT_FIRST),
        tuple(one for one in found if one.name not in _VAULT_FIRST),
    )


def value_from(kind: CredentialKind, sent: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form sent as the `value` of the API's request."""
    found = values_of(CLASSES[kind], sent)
    # Vault's version is required and may be empty, which a form cannot tell from left out.
    return {"version": "", **found} if kind is CredentialKind.VAULT_OIDC else found


def with_kept_secrets(cipher: Cipher, credential: StoredCredential, value: Mapping[str, Any]) -> dict[str, Any]:
    """Give a new value with the stored secrets in place of those that were left empty.

    SECURITY: they go from the row into the row again, and through no page.
    """
    stored = unseal(cipher, credential) if credential.value.secret is not None else None
    fields = CLASSES[credential.kind].model_fields
    names = {str(field.alias): name for name, field in fields.items()}
    kept = {alias: getattr(stored, name, None) for alias, name in names.items() if alias not in value}
    if _BESIDE not in value:
        kept.pop(_FILE, None)
    return {**value, **{alias: item for alias, item in kept.items() if isinstance(item, Secret)}}


def creation(actor: Actor, kind: CredentialKind, sent: Mapping[str, str]) -> CreateCredential:
    """Give the request that the form of a new credential stands for. Raises `InvalidInput` for every bad field."""
    scope = sent.get(SCOPE, "").strip()
    whose = {"projectId": _project(scope)} if scope else {"organizationId": actor.organization_id}
    name, value = sent.get(NAME, "").strip(), value_from(kind, sent)
    try:
        return CreateCredential.model_validate({NAME: name, "type": kind, "value": value, **whose})
    except ValidationError as error:
        raise invalid_input(error) from None


def change(kind: CredentialKind, value: Mapping[str, Any]) -> ChangeCredential:
    """Give the request that the form of a change stands for. Raises `InvalidInput` for every bad field."""
    try:
        return ChangeCredential.model_validate({"type": kind, "value": value})
    except ValidationError as error:
        raise invalid_input(error) from None


def place_fields(
    tx: Transaction, actor: Actor, sent: Mapping[str, str], wrong: Mapping[str, str]
) -> tuple[FormField, FormField]:
    """Give the fields that say what a new credential is called, and whom it is for."""
    name = FormField(
        name=NAME,
        label="Name",
        help="What people call it.",
        example="vault",
        kind=FieldKind.LINE,
        is_required=True,
        value=sent.get(NAME, ""),
        error=wrong.get(NAME, ""),
    )
    scope = FormField(
        name=SCOPE,
        label="For",
        help="One project's credential is for that project and those below it. It is assigned in a step of its own.",
        example="the id of a project; empty: the whole organization",
        kind=FieldKind.LINE,
        is_required=actor.projects_with(Permission.MANAGE_CREDENTIALS) is not None,
        value=sent.get(SCOPE, ""),
        error=wrong.get(SCOPE, "") or wrong.get("projectId", ""),
    )
    choices = _projects(tx, actor)
    return name, scope if choices is None else replace(scope, kind=FieldKind.CHOICE, choices=choices)


def _projects(tx: Transaction, actor: Actor) -> tuple[Choice, ...] | None:
    """Give the places where the actor may make a credential; None where there are too many to choose from."""
    where = visible_to(tx, actor, Permission.MANAGE_CREDENTIALS)
    found = list_projects(tx, actor.organization_id, where, limit=MOST_CHOICES + 1, as_tree=True)
    if len(found) > MOST_CHOICES:
        return None
    names = {project.id: project.name for project in found}
    choices = tuple(
        Choice(str(project.id), " / ".join(names[item] for item in project.path if item in names))
        for project in found
        if not project.is_archived
    )
    whole = actor.projects_with(Permission.MANAGE_CREDENTIALS) is None
    return (Choice("", "The whole organization"), *choices) if whole else choices


def _project(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput.of(SCOPE, "must be the id of a project") from None


def _plain(one: FormField) -> FormField:
    return replace(one, is_required=False) if one.name == "version" else one


def _as_kept(one: FormField, kept: StoredCredential | None) -> FormField:
    """Give a secret's field as the form of a change has it: what is stored stays if nothing is typed."""
    if kept is None or not one.kind.is_secret or kept.value.secret is None:
        return one
    ends = " Without a client certificate it is gone." if one.name == _FILE else ""
    return replace(one, is_required=False, help=f"{one.help} Left empty, the one that is kept stays.{ends}")
