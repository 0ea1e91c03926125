"""Key checks: show a Vault a token that nobody signed, and tell what it answered.

SECURITY: whatever a Vault answers is bounded and escaped, and decides nothing but the words of the report. A Vault that
lets such a token in gives one of its own, which is revoked at once.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, ProbeVerdict, Refetched
from runpass.runner.credentials.vault_oidc import tls_of
from runpass.secret import Secret
from runpass.vault import refusals
from runpass.vault.client import VaultClient
from runpass.vault.errors import LoginRefused, VaultFailure, visible
from runpass.vault.login import jwt_login

log = structlog.get_logger()
PUSHED: Final = "no known key successfully validated"
"""What only a Vault says that has keys of its own; one that fetches says `failed to verify id token signature`."""
NO_SUCH_KEY: Final = ("failed to verify id token signature", PUSHED)
"""What a Vault says once it has tried its keys. SECURITY: nothing else is a proof that it does not trust one; its words
for a signature that it could not look at are similar."""
AFTER_THE_SIGNATURE: Final = (
    refusals.AmbiguousClaim,
    refusals.ClaimType,
    refusals.Issuer,
    refusals.Subject,
    refusals.Audience,
    refusals.NoTimeClaims,
    refusals.NotYetValid,
    refusals.Expired,
    refusals.BoundClaim,
    refusals.GroupsClaim,
    refusals.ClaimMapping,
    refusals.UserClaim,
)
"""Refusals of a token whose signature was accepted: a Vault looks at these only after it."""
LONGEST_SECONDS: Final = 15.0
"""One request, whatever the credential allows: sweeps wait meanwhile."""
MAX_SAID: Final = 2_000
ACCEPTED: Final = "the Vault let the token in"
V = TypeVar("V", Refetched, ProbeVerdict)


def check_keys(task: KeyCheck, ca_bundle: Path | None) -> KeyCheckReport:
    """Make a key check. Blocking; raises nothing that a Vault could cause."""
    credential = task.grant.value
    log.info("key_check", task=str(task.task_id), address=credential.address)
    tls, timeout = tls_of(credential, ca_bundle), min(float(credential.timeout_seconds), LONGEST_SECONDS)
    try:
        with contextlib.closing(VaultClient(credential.address, tls=tls, timeout=timeout)) as client:
            report = _check(client.in_namespace(credential.namespace), task)
    except VaultFailure as error:
        report = KeyCheckReport(reached=False, refetched=Refetched.NOT_READ, said=_words(error))
    log.info("key_check_ended", task=str(task.task_id), refetched=report.refetched.value, said=report.said)
    return report


def _check(client: VaultClient, task: KeyCheck) -> KeyCheckReport:
    refetched, reached, said = _try(client, task, task.refetch_token, (Refetched.ACCEPTED, _refetched))
    probed, words = None, ""
    if task.probe is not None:
        # After the other one: what was fetched for it is what the probe is compared with.
        probed, _, words = _try(client, task, task.probe, (ProbeVerdict.ACCEPTED, _probed))
    told = "; ".join(dict.fromkeys(text for text in (said, words) if text))
    return KeyCheckReport(reached=reached, refetched=refetched, probe_verdict=probed, said=told[:MAX_SAID])


def _try(
    client: VaultClient, task: KeyCheck, jwt: Secret, verdicts: tuple[V, Callable[[VaultFailure], V]]
) -> tuple[V, bool, str]:
    """Log in with a token; give the verdict, whether the auth method answered, and its words."""
    credential = task.grant.value
    accepted, judge = verdicts
    try:
        login = jwt_login(client, mount=credential.jwt_auth_backend_path, role=credential.role_name, jwt=jwt)
    except VaultFailure as error:
        return judge(error), isinstance(error, LoginRefused), _words(error)
    log.error("key_check_let_in", task=str(task.task_id), address=credential.address, role=credential.role_name)
    with contextlib.suppress(VaultFailure):
        client.with_token(login.client_token).write("auth/token/revoke-self", {})
    return accepted, True, ACCEPTED


def _refetched(error: VaultFailure) -> Refetched:
    match error:
        case refusals.BadSignature():
            return Refetched.PUSHED_KEYS if PUSHED in (error.vault_error or "") else Refetched.FETCHED
        case refusals.JwksUnreachable() | refusals.ValidatorNotUsable():
            return Refetched.FETCH_FAILED
        case _:
            return Refetched.NOT_READ


def _probed(error: VaultFailure) -> ProbeVerdict:
    if isinstance(error, refusals.BadSignature) and any(words in (error.vault_error or "") for words in NO_SUCH_KEY):
        return ProbeVerdict.REFUSED_SIGNATURE
    return ProbeVerdict.REFUSED_EXPIRED if isinstance(error, AFTER_THE_SIGNATURE) else ProbeVerdict.NOT_READ


def _words(error: VaultFailure) -> str:
    return visible(error.vault_error or error.message, MAX_SAID - 1)
