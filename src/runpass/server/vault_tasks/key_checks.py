"""Key checks: a Vault that this installation knows is made to fetch the key set, by a runner, and its answer is kept.

SECURITY: what goes to the Vault is a token that nobody signed, to the address, namespace and mount that the credential
names at this moment. A probe, where there is one, expired in 1970. Neither can log in anywhere.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from runpass.errors import StaleLease
from runpass.ids import CredentialId, PoolId, VaultTaskId, new_id
from runpass.protocol.credentials import CredentialGrant, CredentialKind, VaultOidc
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.credentials.sealing import unseal
from runpass.server.credentials.store import get_credential
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.encryption import Place as ColumnPlace
from runpass.server.db.engine import Transaction
from runpass.server.issuer.algorithms import Algorithm, base64url, generate, public_jwk, sign
from runpass.server.runners.model import IN_TOUCH, Runner
from runpass.server.runners.store import hold_runner
from runpass.server.tenancy.store import get_organization, get_project
from runpass.server.vault_tasks import key_check_store as store
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.known_vaults import KnownVault, place_of
from runpass.server.vault_tasks.model import TAKES

KEPT: Final = timedelta(days=90)
NOBODY: Final = "nobody"
CHANGED: Final = "the credential has been changed since, or is gone"
UNREADABLE: Final = "what is stored of the credential, or of the probe, does not open"


@dataclass(frozen=True, slots=True)
class Probe:
    """A token that is signed with a key under suspicion and expired in 1970. `cipher` keeps it until it is taken."""

    kid: str
    token: Secret
    cipher: Cipher


def want_key_checks(
    tx: Transaction,
    vaults: Iterable[KnownVault],
    now: datetime,
    *,
    about_kid: str | None = None,
    probe: Probe | None = None,
    turn: int = 0,
) -> tuple[VaultTaskId, ...]:
    """Queue a key check for each of these Vaults, and give their ids.

    Where several credentials or pools could serve, `turn` says which: one after another goes through all pairs. An
    organization that has no runner gets a check that nobody takes.
    """
    store.forget_before(tx, now - KEPT)
    found = []
    for vault in vaults:
        check_id = VaultTaskId(new_id())
        credential = vault.credentials[turn % len(vault.credentials)]
        sealed = None
        if probe is not None:
            place = ColumnPlace("key_checks", "probe_sealed", str(check_id), vault.organization_id)
            sealed = probe.cipher.seal(probe.token.reveal().encode(), place)
        check = StoredKeyCheck(
            id=check_id,
            organization_id=vault.organization_id,
            place=vault.place,
            credential_id=credential.id,
            pool_id=_pool(tx, vault, now, turn // len(vault.credentials)),
            verifier=vault.verifier,
            about_kid=about_kid,
            probe_kid=probe.kid if probe else None,
            probe_sealed=sealed,
            runner_id=None,
            secret_sha256=None,
            created_at=now,
            taken_at=None,
            finished_at=None,
            reached=None,
            refetched=None,
            probe_verdict=None,
            said=None,
            seen_at=None,
        )
        store.insert_check(tx, check)
        found.append(check_id)
    return tuple(found)


def results_of(tx: Transaction, ids: Collection[VaultTaskId]) -> list[StoredKeyCheck]:
    """Give what became of key checks, oldest first: `status` says who is still waited for, the fields what was said."""
    return store.list_checks(tx, ids)


def take_key_check(rules: TestRules, runner: Runner) -> KeyCheck | None:
    """Give the next key check that the runner may make; nothing if there is none."""
    now, secret = rules.clock.now(), new_bearer(Bearer.TASK)
    with rules.database.write() as tx:
        known = hold_runner(tx, runner.id, now)
        if known is None:
            return None
        check = store.take_next(tx, known, digest(secret), now)
        if check is None:
            return None
        hold_chains(tx, [check.organization_id])  # what is read from here on is no older than any event before ours
        given = _given(tx, rules, check, known)
        if isinstance(given, str):  # it ends here, and says why
            store.end_unsent(tx, check.id, given, now)
            return None
        record(tx, _taken(check, known, now))
    return KeyCheck(
        task_id=check.id,
        task_secret=secret,
        expires_at=now + TAKES,
        grant=given[0],
        refetch_token=throw_away_token(rules.minter.issuer_url),
        probe=given[1],
    )


def finish_key_check(
    rules: TestRules, runner: Runner, check_id: VaultTaskId, secret: Secret, report: KeyCheckReport
) -> None:
    """Keep what a Vault answered. Raises `StaleLease` with one sentence unless the runner holds the task."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        check = store.get_check(tx, runner.organization_id, check_id)
        held = (
            check is not None
            and check.secret_sha256 is not None
            and check.runner_id == runner.id
            and matches(secret, check.secret_sha256)
            and store.finish_check(tx, check.id, report, now)
        )
        if not held:
            raise StaleLease("this task is not held by the caller, or no longer")


def throw_away_token(issuer_url: str) -> Secret:
    """Give a token with a `kid` that was never published, signed with a key that nobody keeps, valid in 1970.

    Its subject and audience are nobody's, so that it is no login even where signatures are not looked at.
    """
    key = generate(Algorithm.ES256)
    header = {"alg": Algorithm.ES256.value, "kid": public_jwk(key.public_key())["kid"], "typ": "JWT"}
    claims = {"iss": issuer_url, "sub": NOBODY, "aud": NOBODY, "iat": 1, "nbf": 1, "exp": 2, "jti": str(uuid4())}
    signing_input = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
    return Secret(f"{signing_input}.{base64url(sign(key, signing_input.encode()))}")


def _pool(tx: Transaction, vault: KnownVault, now: datetime, turn: int) -> PoolId | None:
    """Give a pool that may reach the Vault: one whose runners are there, or else the one that was there last."""
    pools = store.pools_of(tx, vault.organization_id)
    alive = sorted(pool for pool, seen in pools if seen > now - IN_TOUCH)
    if alive:
        return alive[turn % len(alive)]
    return pools[0][0] if pools else None


def _given(
    tx: Transaction, rules: TestRules, check: StoredKeyCheck, runner: Runner
) -> tuple[CredentialGrant, Secret | None] | str:
    """Give the credential as it is now, and the probe; or the sentence that says why this check is not made."""
    credential = get_credential(tx, check.organization_id, check.credential_id)
    if credential is None or credential.kind is not CredentialKind.VAULT_OIDC or place_of(credential) != check.place:
        return CHANGED
    if runner.is_unisolated and not _is_of_its_project(tx, runner, credential.id):
        return CHANGED
    refused = clear_text_refusal([credential], get_organization(tx, check.organization_id))
    if refused is not None:
        return refused
    try:
        value, probe = unseal(rules.cipher, credential), probe_of(rules.cipher, check)
    except (CorruptColumn, ValueError):  # it keeps no other check from being made
        return UNREADABLE
    if not isinstance(value, VaultOidc):
        return CHANGED
    return CredentialGrant(credential_id=credential.id, name=credential.name, kind=credential.kind, value=value), probe


def _is_of_its_project(tx: Transaction, runner: Runner, credential_id: CredentialId) -> bool:
    """Whether runs of the one project that a runner without isolation works for would be given the credential."""
    bound = runner.only_project_id
    project = None if bound is None else get_project(tx, runner.organization_id, bound)
    return project is not None and any(item.id == credential_id for item in credentials_of(tx, project.path))


def probe_of(cipher: Cipher, check: StoredKeyCheck) -> Secret | None:
    """Give the probe that goes with a check; None for one that is about no key under suspicion."""
    if check.probe_sealed is None:
        return None
    place = ColumnPlace("key_checks", "probe_sealed", str(check.id), check.organization_id)
    return Secret(cipher.unseal(check.probe_sealed, place).decode())


def _taken(check: StoredKeyCheck, runner: Runner, at: datetime) -> AuditEvent:
    detail = {"credentialId": str(check.credential_id), "address": check.place.address}
    subject, organization = str(check.id), check.organization_id
    return AuditEvent(at, runner.audit_name, "key_check.taken", "key_check", subject, organization, detail)
