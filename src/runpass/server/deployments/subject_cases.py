"""Every token that runs of an environment get, under the policies as they are and as somebody proposes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runpass.errors import InvalidInput
from runpass.protocol.credentials import CredentialKind
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.deployments.subject_preview import Verdict, Verdicts, place_of, preview
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.model import Environment, Organization, Project

MOST_CREDENTIALS: Final = 10
"""Whose login tokens are looked at."""
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class RoleWords:
    """What a recorded role says, in a word for each case, and why."""

    name: str
    now: str
    proposed: str
    after_rename: Mapping[str, str]
    reasons: tuple[str, ...]
    is_lost: bool
    """Whether it may admit runs now, and refuses all of them as proposed."""


@dataclass(frozen=True, slots=True)
class TokenCase:
    """A kind of token: the login token of a credential, or without one the token that jobs hold."""

    credential: StoredCredential | None
    sub_now: str
    sub_proposed: str
    roles: tuple[RoleWords, ...]

    @property
    def changes(self) -> bool:
        """Whether `sub` would be another one."""
        return self.sub_now != self.sub_proposed


def cases_of(
    tx: Transaction,
    at: tuple[Organization, Environment, Project],
    proposed: Mapping[str, Any],
    settings: ServerSettings,
) -> list[TokenCase]:
    """Give the tokens of an environment's runs. Raises `InvalidInput` where nothing runs, or no token could be made."""
    organization, environment, project = at
    assigned = [one for one in credentials_of(tx, project.path) if one.kind is CredentialKind.VAULT_OIDC]
    found = []
    for credential in (None, *assigned[:MOST_CREDENTIALS]):
        credential_id = credential.id if credential else None
        place, recorded = place_of(
            tx, organization, environment, project, credential_id=credential_id, settings=settings
        )
        try:
            said = preview(place, proposed, {}, recorded if credential else ())
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        roles = tuple(_words(item) for item in said.roles)
        found.append(TokenCase(credential, said.now["sub"], said.proposed["sub"], roles))
    return found


def lost(cases: Sequence[TokenCase]) -> int:
    """Count the roles that would refuse runs that they may admit now."""
    return sum(role.is_lost for case in cases for role in case.roles)


def _words(item: Verdicts) -> RoleWords:
    return RoleWords(
        name=item.role.name,
        now=_word(item.now),
        proposed=_word(item.proposed),
        after_rename={what: _word(verdict) for what, verdict in item.after_rename.items()},
        reasons=tuple(dict.fromkeys(_reasons(item))),
        is_lost=_admits(item.now) is not False and _admits(item.proposed) is False,
    )


def _admits(verdict: Verdict) -> bool | None:
    return verdict.admission.admits if verdict.admission else None


def _word(verdict: Verdict) -> str:
    if verdict.admission is None:
        return _UNKNOWN
    return {True: "admits", False: "refuses", None: "depends on the run"}[verdict.admission.admits]


def _reasons(item: Verdicts) -> Iterator[str]:
    """Say why the role refuses what is proposed, and what else would change at the Vault."""
    verdict, usual = item.proposed, item.now.admission
    if verdict.admission is None:
        yield verdict.problem
        return
    for check in verdict.admission.refused:
        yield f"{check.name}: expected {check.expected}, received {check.received}"
    granted, before = verdict.admission.granted, usual.granted if usual else None
    if granted and before and granted.alias != before.alias:
        yield f"another entity at the Vault: {granted.alias} instead of {before.alias}"
