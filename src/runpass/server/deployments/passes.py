"""The pass of a run: who it said that it is, and where it logged in with that.

What a token said was kept when it was minted, for each login. The token itself is kept nowhere.

SECURITY: addresses, roles and policies are for those who may see credentials; an accessor for those who may see these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import login_store
from runpass.server.deployments.login_model import Standing, StoredLogin
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.pass_claims import Claim, Claims, alike, alone, claims_in, expires_at, shown
from runpass.server.deployments.pass_words import (
    State,
    key_words,
    policies_words,
    renewals_words,
    state_of,
    ttl_words,
)
from runpass.server.deployments.vault_logins import accessor_of
from runpass.server.http.wire import rfc3339
from runpass.server.issuer.keys import KeyState
from runpass.server.issuer.store import states_of
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.model import Project

MOST: Final = 20
"""Logins that a page shows: a run that cannot renew its token logs in again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPass:
    """One login at a Vault."""

    login: StoredLogin
    state: State
    claims: Sequence[Claim]
    """What its identity token says that those of the other logins do not."""
    expires_at: datetime | None
    """Of its identity token."""
    key: str
    """What became of the key that signed that; empty while it is good."""
    policies: Sequence[str] = ()
    policies_words: str = ""
    renewals: str = ""
    ttl: str = ""
    counts_down: bool = False
    """Whether the token's end is still ahead and can be told."""
    accessor: str | None = None
    """For those who may see it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass of a deployment's runs."""

    identity: Sequence[Claim]
    """What the identity tokens of all logins say alike."""
    logins: Sequence[LoginPass]
    """The newest first."""
    has_logins: bool
    has_more: bool
    """Whether there are earlier logins, which are not here."""
    sees_logins: bool


Ends = Sequence[Mapping[str, str]]
"""When tokens end and how often they were renewed, for a page that is open: `login`, `until`, `renewed`."""


def ends_of(tx: Transaction, deployment: Deployment) -> Ends:
    """Give what changes of the passes of a deployment that goes on. For those who may see credentials."""
    return [
        {"login": str(login_id), "until": rfc3339(until), "renewed": renewals_words(renewals)}
        for login_id, until, renewals in login_store.ends_of(tx, deployment.id, MOST)
    ]


def sees_logins(tx: Transaction, actor: Actor, deployment: Deployment) -> bool:
    """Whether the actor, who may see the deployment, may see where it logged in."""
    _, project = environment_for(tx, actor, deployment.environment_id, Permission.VIEW_PROJECT)
    return actor.may(Permission.VIEW_CREDENTIALS, project.scope)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is needed for each login of a pass."""

    shared: Claims
    keys: Mapping[str, KeyState]
    cipher: Cipher | None
    """None: the actor may see no accessor."""
    now: datetime

    def pass_of(self, login: StoredLogin, claims: Claims | None) -> LoginPass:
        given, standing = login.believed, login.standing(self.now)
        whole = LoginPass(
            login=login,
            state=state_of(login, self.now),
            claims=shown(alone(claims, self.shared)) if claims else (),
            expires_at=expires_at(claims) if claims else None,
            key=key_words(self.keys.get(login.kid)) if login.kid else "",
        )
        if given is None:
            return whole
        accessor = None if self.cipher is None else accessor_of(self.cipher, login)
        return replace(
            whole,
            policies=given.policies or (),
            policies_words=policies_words(given),
            renewals=renewals_words(given.renewals),
            ttl=ttl_words(given.ttl),
            counts_down=standing is Standing.IN_USE and given.lives_until is not None,
            accessor=None if accessor is None else accessor.reveal(),
        )


def pass_of(tx: Transaction, cipher: Cipher, actor: Actor, of: tuple[Project, Deployment], now: datetime) -> Pass:
    """Give the pass of a deployment that the actor may see, and its project."""
    project, deployment = of
    found = login_store.newest_logins(tx, deployment, MOST + 1)
    logins = found[:MOST]
    claims = {login.id: claims_in(login.claims) for login in logins}
    shared = alike([item for item in claims.values() if item is not None])
    sees = actor.may(Permission.VIEW_CREDENTIALS, project.scope)
    passes: list[LoginPass] = []
    if sees:
        keys = states_of(tx, {login.kid for login in logins if login.kid})
        shows = actor.may(Permission.VIEW_TOKEN_ACCESSORS, ScopePath(actor.organization_id))
        seen = _Seen(shared, keys, cipher if shows else None, now)
        passes = [seen.pass_of(login, claims[login.id]) for login in logins]
    return Pass(shown(shared), passes, bool(logins), has_more=len(found) > MOST, sees_logins=sees)
