"""Logins at Vaults: counted before they are made, told by the lease's holder, handed to the sweep when the lease ends.

SECURITY: an accessor is taken from the holder of the lease alone, once for each login, and is only ever used to sweep
after a runner has seen at the Vault that its token came from this very login.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from runpass.errors import StaleLease
from runpass.ids import OrganizationId, VaultLoginId, new_id
from runpass.protocol.credentials import RecordedRole
from runpass.protocol.vault_logins import MAX_SECONDS, EndedLogin, GivenToken, LoginEnd
from runpass.secret import Secret
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.deployments import login_store
from runpass.server.deployments.login_model import Given, Standing, StoredLogin
from runpass.server.deployments.model import Deployment, Lease
from runpass.server.issuer.minting import Minted


def intend(
    tx: Transaction, lease: Lease, deployment: Deployment, login: tuple[StoredCredential, Minted], *, now: datetime
) -> VaultLoginId:
    """Count a login that this lease may make with the identity token that is about to leave; give its id."""
    credential, minted = login
    value: Mapping[str, Any] = credential.value.clear
    meant = StoredLogin(
        id=VaultLoginId(new_id()),
        organization_id=lease.organization_id,
        project_id=deployment.project_id,
        environment_id=deployment.environment_id,
        pool_id=deployment.pool_id,
        deployment_id=deployment.id,
        run_lease_id=lease.id,
        credential_id=credential.id,
        credential_name=credential.name,
        address=value["address"],
        namespace=value.get("namespace", ""),
        mount=value["jwtAuthBackendPath"],
        role_name=value["roleName"],
        jti=minted.jti,
        kid=minted.kid,
        claims=minted.claims,
        intended_at=now,
        first_ttl=_first_ttl(credential),
    )
    login_store.insert_login(tx, meant)
    return meant.id


def keep_report(
    tx: Transaction, cipher: Cipher, lease: Lease, login_id: VaultLoginId, given: GivenToken | None, *, now: datetime
) -> None:
    """Keep what a login gave, or that it gave nothing. Raises `StaleLease` for a login of another lease.

    A repeat changes nothing, but that the token was renewed: accessor and policies are the first one's.
    """
    login = login_store.get_login(tx, lease.organization_id, login_id)
    if login is None or login.run_lease_id != lease.id:
        raise StaleLease("this run lease is not held by the caller, or no longer")
    kept = _kept(cipher, login, given, now)
    if kept != login:
        login_store.save_given(tx, login.id, kept.given, now)


def end_logins(
    tx: Transaction, cipher: Cipher, lease: Lease, last_words: Sequence[EndedLogin] | None, now: datetime
) -> None:
    """Close the account of a lease that ends. What may be left is swept at once; None: its holder says nothing.

    Whoever speaks names all logins it knows of: one that it does not name had an identity token that never arrived.
    """
    said = None if last_words is None else {item.login_id: item for item in last_words}
    for login in login_store.logins_of_lease(tx, lease.id):
        told = login if said is None else _told(cipher, login, said.get(login.id), now)
        if told.given != login.given:
            login_store.save_given(tx, login.id, told.given, now)
        ended = replace(told, lease_ended_at=now)
        is_settled = ended.standing(now) is Standing.SETTLED
        if ended.can_be_swept and not is_settled:
            ended = replace(ended, sweep_after=now)
        login_store.save_end(tx, ended, is_settled=is_settled, now=now)


def accessor_of(cipher: Cipher, login: StoredLogin) -> Secret | None:
    """Give the accessor of a login's token. Only for its sweep, and for an organization's admin."""
    if login.given is None or login.given.accessor_sealed is None:
        return None
    return Secret(cipher.unseal(login.given.accessor_sealed, _place(login.id, login.organization_id)).decode())


def _told(cipher: Cipher, login: StoredLogin, said: EndedLogin | None, now: datetime) -> StoredLogin:
    if said is None:
        return replace(login, ended=LoginEnd.NO_TOKEN)
    if said.end in {LoginEnd.NO_TOKEN, LoginEnd.GOING_ON}:
        return replace(login, ended=said.end)
    return replace(_kept(cipher, login, said.given, now) if said.given else login, ended=said.end)


def _kept(cipher: Cipher, login: StoredLogin, said: GivenToken | None, now: datetime) -> StoredLogin:
    """Give the login with what its runner says of its token, if that adds to what is known."""
    if said is None:
        return replace(login, gave_token=False) if login.gave_token is None else login
    if login.given is not None:
        return replace(login, given=_renewed(login.given, said, now))
    place = _place(login.id, login.organization_id)
    sealed = None if said.accessor is None else cipher.seal(said.accessor.reveal().encode(), place)
    given = Given(
        accessor_sealed=sealed,
        ttl=timedelta(seconds=said.ttl_seconds),
        renewable=said.renewable,
        reported_at=now,
        policies=said.policies,
        renewals=said.renewals,
        lives_until=_lives_until(said, now),
    )
    return replace(login, gave_token=True, given=given)


def _renewed(known: Given, said: GivenToken, now: datetime) -> Given:
    """Give what is known of a token with what its runner says of it now. Words may come in another order."""
    ttl = timedelta(seconds=said.ttl_seconds)
    longer = timedelta(0) if not (ttl and known.ttl) else max(ttl, known.ttl)
    if said.renewals is None or known.renewals is None or said.renewals <= known.renewals:
        return replace(known, ttl=longer)
    return replace(known, ttl=longer, renewals=said.renewals, lives_until=_lives_until(said, now) or known.lives_until)


def _lives_until(said: GivenToken, now: datetime) -> datetime | None:
    return None if said.left_seconds is None else now + timedelta(seconds=said.left_seconds)


def _first_ttl(credential: StoredCredential) -> timedelta | None:
    """Give how long a token of the credential's role lives before any renewal; None where that is not recorded.

    `vault apply` records the role as it wrote it: a period, or else a TTL; without either it is the Vault's own.
    """
    if not credential.recorded:
        return None
    recorded = RecordedRole.model_validate(credential.recorded)
    value = credential.value.clear
    here = (recorded.role_name.lower(), recorded.mount.strip("/"), recorded.namespace.strip("/"))
    if here != (value["roleName"].lower(), value["jwtAuthBackendPath"], value.get("namespace", "")):
        return None
    role = json.loads(recorded.role)
    found = role.get("token_period") or role.get("token_ttl")
    is_usable = isinstance(found, int) and not isinstance(found, bool) and 0 < found <= MAX_SECONDS
    return timedelta(seconds=found) if is_usable else None


def _place(login_id: VaultLoginId, organization_id: OrganizationId) -> Place:
    return Place("vault_logins", "accessor_sealed", str(login_id), organization_id)
