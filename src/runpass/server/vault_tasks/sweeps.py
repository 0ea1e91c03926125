"""Sweeps: a runner revokes the Vault token of a run that is over, and says what it saw.

There is no queue besides the logins themselves: one whose token may be left has a moment from which on it may be
swept, set in the very transaction that ends its lease. Taking it moves that moment on, so that a runner that dies with
the task keeps it from nobody.

SECURITY: the sweeper's token is minted when a runner takes the task, lives for a minute, and is in the audit trail. It
goes to the address that the login went to. What it may do is revoke by accessor, so the runner looks first whose token
that is; the server knows accessors from runners, and trusts none of them with another run's token.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from runpass.errors import StaleLease
from runpass.ids import VaultLoginId
from runpass.observability.metrics import TOKENS_MINTED, VAULT_TOKENS_SWEPT
from runpass.protocol.credentials import CredentialGrant, CredentialKind, VaultOidc, is_clear_text
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.sealing import unseal
from runpass.server.credentials.store import get_credential
from runpass.server.db.encryption import CorruptColumn
from runpass.server.db.engine import Transaction
from runpass.server.deployments import login_store
from runpass.server.deployments.login_model import NOT_AGAIN, Standing, StoredLogin
from runpass.server.deployments.vault_logins import accessor_of
from runpass.server.issuer.minting import Minted
from runpass.server.runners.model import Runner
from runpass.server.runners.store import bind_to_project, hold_runner
from runpass.server.tenancy.store import get_organization
from runpass.server.vault_tasks.connection_tests import TestRules

_log = structlog.get_logger(__name__)
FIRST_TAKES: Final = timedelta(seconds=3)
"""How long a runner may take for a sweep; then it is given out again, since that runner may be gone. Each time it gets
twice as long, for a Vault that is slow."""
LONGEST_TAKES: Final = timedelta(minutes=1)
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=10)
MOST_DOUBLINGS: Final = 16
UNREADABLE: Final = "what is stored of this login, or of its credential, does not open"
CLEAR_TEXT: Final = (
    "the Vault's address is http:// on another machine, which the organization policy allowClearTextVault"
    " does not permit"
)


def take_sweep(rules: TestRules, runner: Runner) -> Sweep | None:
    """Give the next token of the runner's pool that is to be swept; nothing if there is none."""
    now, secret = rules.clock.now(), new_bearer(Bearer.TASK)
    rules = rules.of(runner.organization_id)
    with rules.database.write() as tx:
        known = hold_runner(tx, runner.id, now)
        if known is None:
            return None
        among = (known.pool_id, known.only_project_id)
        login = login_store.take_sweep(tx, among, now, lambda sweeps: now + _takes(sweeps), (known.id, digest(secret)))
        if login is None:
            return None
        hold_chains(tx, [login.organization_id])  # what is read from here on is no older than any event before ours
        try:
            accessor, grant = accessor_of(rules.cipher, login), _grant(tx, rules, login)
        except (CorruptColumn, ValueError):  # it keeps no other one from being swept
            _log.exception("vault_token.not_sweepable", vault_login=str(login.id))
            _keep(tx, login, SweepReport(result=SweepResult.FAILED, said=UNREADABLE), now)
            return None
        if accessor is None:
            return None
        if not _may_go_there(tx, login):
            _keep(tx, login, SweepReport(result=SweepResult.FAILED, said=CLEAR_TEXT), now)
            return None
        bind_to_project(tx, known, login.project_id)
        minted = rules.minter.mint_sweeper(login.organization_id)
        record(tx, _minted(login, known, minted, now))
    TOKENS_MINTED.labels("sweep").inc()
    return Sweep(
        task_id=login.id,
        task_secret=secret,
        expires_at=login.sweep_after or now,
        grant=grant,
        sweeper_token=minted.token,
        accessor=accessor,
        deployment_id=login.deployment_id,
    )


def _takes(sweeps: int) -> timedelta:
    longer: int = 2 ** min(sweeps, MOST_DOUBLINGS)
    return min(FIRST_TAKES * longer, LONGEST_TAKES)


def finish_sweep(rules: TestRules, runner: Runner, login_id: VaultLoginId, secret: Secret, report: SweepReport) -> None:
    """Keep what a runner saw and did. Raises `StaleLease` with one sentence unless it holds the task."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        login = login_store.get_login(tx, runner.organization_id, login_id)
        if login is None or not _is_held(login, runner, secret, now):
            raise StaleLease("this task is not held by the caller, or no longer")
        _keep(tx, login, report, now)
        if report.result is not SweepResult.FAILED:
            record(tx, _event(login, runner, report, now))
    VAULT_TOKENS_SWEPT.labels(report.result.value).inc()
    if report.result in {SweepResult.NOT_OURS, SweepResult.NOT_VERIFIABLE}:
        _log.error(
            "vault_token.not_swept",
            result=report.result.value,
            vault_login=str(login.id),
            deployment_id=str(login.deployment_id),
            address=login.address,
        )


def _is_held(login: StoredLogin, runner: Runner, secret: Secret, now: datetime) -> bool:
    """Whether this runner was given this secret for the task, and nobody else may have got the task since."""
    kept, until = login.sweep_secret_sha256, login.sweep_after
    is_theirs = kept is not None and matches(secret, kept) and login.sweep_runner_id == runner.id
    return is_theirs and until is not None and until > now


def _keep(tx: Transaction, login: StoredLogin, report: SweepReport, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(login.sweeps, MOST_DOUBLINGS), LONGEST_PAUSE)
    swept = replace(
        login,
        swept=report.result,
        swept_at=now,
        sweep_said=report.said,
        sweep_hint=report.hint,
        sweep_after=None if report.result in NOT_AGAIN else now + pause,
    )
    login_store.save_sweep(tx, swept, is_settled=swept.standing(now) is Standing.SETTLED, now=now)


def _may_go_there(tx: Transaction, login: StoredLogin) -> bool:
    """Whether a token may be sent to the login's Vault: the policy may have been taken back since."""
    organization = get_organization(tx, login.organization_id)
    permitted = organization is not None and organization.allow_clear_text_vault
    return permitted or not is_clear_text(login.address)


def _grant(tx: Transaction, rules: TestRules, login: StoredLogin) -> CredentialGrant:
    """Give where the login went, and how to be sure of that Vault: as its credential says now, if it is still there."""
    there = {"role_name": login.role_name, "jwt_auth_backend_path": login.mount, "namespace": login.namespace}
    credential = get_credential(tx, login.organization_id, login.credential_id)
    value = unseal(rules.cipher, credential) if credential else None
    if not isinstance(value, VaultOidc) or value.address != login.address:
        value = VaultOidc.model_validate({"address": login.address, "version": "", **there})
    return CredentialGrant(
        credential_id=login.credential_id,
        name=login.credential_name,
        kind=CredentialKind.VAULT_OIDC,
        value=value.model_copy(update=there),
    )


def _event(login: StoredLogin, runner: Runner, report: SweepReport, at: datetime) -> AuditEvent:
    detail = {
        "result": report.result.value,
        "deploymentId": str(login.deployment_id),
        "credentialId": str(login.credential_id),
    }
    verb = "swept" if report.result in {SweepResult.REVOKED, SweepResult.ALREADY_GONE} else "not_swept"
    action, subject = f"vault_token.{verb}", str(login.id)
    return AuditEvent(at, runner.audit_name, action, "vault_login", subject, login.organization_id, detail)


def _minted(login: StoredLogin, runner: Runner, minted: Minted, at: datetime) -> AuditEvent:
    detail = {
        "jti": minted.jti,
        "kid": minted.kid,
        "audience": minted.audience,
        "expiresAt": minted.expires_at.isoformat(),
    }
    subject, organization = str(login.id), login.organization_id
    return AuditEvent(at, runner.audit_name, "identity_token.minted", "vault_login", subject, organization, detail)
