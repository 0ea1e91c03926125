"""Run leases: taking one, proving to hold it, keeping it, ending it, losing it.

A lease lives until a deadline that heartbeats move. Its holder proves itself with the runner's key, the lease's
secret and the newest fencing token; a report that comes late, from a lease that was lost, is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from runpass.clock import Clock
from runpass.errors import Conflict, StaleLease, Unauthenticated, Unavailable
from runpass.ids import RunLeaseId, RunnerId, VaultLoginId, new_id
from runpass.observability.metrics import RUNNERS_LOST, SECRETS_MASKED
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.reports import MAX_NUMBER, Finish, LogEvent, LogLevel, Report
from runpass.protocol.run_lease import HeartbeatAnswer, Phase, RunLease, Wish
from runpass.protocol.vault_logins import LoginReport
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.rules import clear_text_refusal, unserved
from runpass.server.credentials.sealing import grants
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.deployments import lease_store, log_store, store
from runpass.server.deployments.changing import cancel_waiting, change_state, count_end, note_state
from runpass.server.deployments.inputs import commands_for, inputs_of
from runpass.server.deployments.leaks import keep_leaks
from runpass.server.deployments.model import Deployment, DeploymentStatus, Inputs, Lease
from runpass.server.deployments.outputs import seal_outputs
from runpass.server.deployments.reporting import keep_report, named
from runpass.server.deployments.transitions import Event, event_of
from runpass.server.deployments.vault_logins import end_logins
from runpass.server.deployments.vault_logins import keep_report as keep_login
from runpass.server.runners.model import Runner
from runpass.server.runners.store import bind_to_project, hold_runner, mark_seen
from runpass.server.tenancy.environment_store import get_environment
from runpass.server.tenancy.model import Organization
from runpass.server.tenancy.store import get_organization, get_project

_log = structlog.get_logger(__name__)
RUNNER_LOST = "runner lost"
SILENT = f"{RUNNER_LOST}: it stopped sending heartbeats, so this deployment was ended"
RUNNER_REVOKED = "its runner was revoked"
MOST_RETURNS = 3
"""Times that a deployment goes back to the queue because nobody began it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What somebody presents who says that they hold a lease."""

    runner: Runner
    lease_id: RunLeaseId
    secret: Secret
    fencing_token: int


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """What leasing needs: how long a lease lives without a heartbeat, and the parts of the server."""

    database: Database
    cipher: Cipher
    clock: Clock
    lifetime: timedelta
    max_log_bytes: int = 64 * 1024 * 1024
    """What the log of one deployment may hold."""


def take(rules: LeaseRules, runner: Runner) -> RunLease | None:
    """Give this runner the next deployment of its pool, or None.

    An unisolated runner gets one run at a time and, for good, only those of its first project.
    Raises `Unauthenticated` for a runner that was revoked while it waited.
    """
    for _ in range(8):
        try:
            with rules.database.write() as tx:
                found = _take(tx, rules, runner)
        except Conflict:
            continue  # somebody else took a deployment of the same environment: look again
        if not isinstance(found, Deployment):
            return found
        count_end(found, found.status)  # it was refused: look for another one
    return None


def _take(tx: Transaction, rules: LeaseRules, known: Runner) -> RunLease | Deployment | None:
    """Give a lease on the next deployment, the deployment as it ended if it had to be refused, or None."""
    now = rules.clock.now()
    runner = hold_runner(tx, known.id, now)
    if runner is None:
        raise Unauthenticated("the runner key is unknown or was revoked")
    if lease_store.live_leases(tx, runner.id) >= (1 if runner.is_unisolated else runner.capacity):
        return None
    deployment = store.take_next(tx, runner.pool_id, runner.only_project_id, now)
    if deployment is None:
        return None
    granted = credentials_for(tx, deployment)
    organization = get_organization(tx, deployment.organization_id)
    inputs = inputs_of(tx, rules.cipher, deployment)
    refused = _refusal(inputs, granted, organization)
    if refused is not None:
        event, sentence = refused
        status = change_state(tx, deployment, event, by="system", now=now, values={"error": sentence})
        return replace(deployment, status=status)
    bind_to_project(tx, runner, deployment.project_id)
    secret = new_bearer(Bearer.LEASE)
    asks_with = new_bearer(Bearer.ID_TOKEN_REQUEST) if has_identity(granted, organization) else None
    lease = replace(
        _new_lease(tx, deployment, runner, secret, now, now + rules.lifetime),
        id_token_sha256=None if asks_with is None else digest(asks_with),
    )
    lease_store.insert_lease(tx, lease)
    note_state(tx, deployment, DeploymentStatus.IN_PROGRESS, by=runner.audit_name, now=now)
    return RunLease(
        lease_id=lease.id,
        lease_secret=secret,
        fencing_token=lease.fencing_token,
        expires_at=lease.expires_at,
        timeout_seconds=deployment.timeout_seconds,
        run=inputs.run,
        phase=deployment.phase,
        commands=commands_for(inputs, deployment.phase),
        variables=inputs.variables,
        credentials=grants(rules.cipher, granted),
        identity=asks_with is not None,
        vault_identity=second_audience(granted) is not None,
        id_token_request_token=asks_with,
    )


def _refusal(
    inputs: Inputs, granted: Sequence[StoredCredential], organization: Organization | None
) -> tuple[Event, str] | None:
    """Give why a deployment ends when a runner would take it, and how."""
    sentence = inputs.refusal or unserved(granted)
    if sentence is not None:
        return Event.FAIL, sentence
    forbidden = clear_text_refusal(granted, organization)
    return None if forbidden is None else (Event.BREAK, forbidden)


def _new_lease(  # noqa: PLR0917 -- what the record holds
    tx: Transaction, deployment: Deployment, runner: Runner, secret: Secret, now: datetime, expires_at: datetime
) -> Lease:
    return Lease(
        id=RunLeaseId(new_id()),
        organization_id=deployment.organization_id,
        deployment_id=deployment.id,
        runner_id=runner.id,
        secret_sha256=digest(secret),
        fencing_token=lease_store.next_fencing_token(tx, deployment.id),
        tokens_minted=0,
        taken_at=now,
        expires_at=expires_at,
        ended_at=None,
    )


def credentials_for(tx: Transaction, deployment: Deployment) -> tuple[StoredCredential, ...]:
    """Give the credentials that the deployment's project may use now."""
    project = get_project(tx, deployment.organization_id, deployment.project_id)
    return credentials_of(tx, project.path) if project else ()


def has_identity(granted: Iterable[StoredCredential], organization: Organization | None) -> bool:
    """Whether a run with these credentials is given a workload identity token of its own."""
    by_credential = any(item.kind is CredentialKind.VAULT_OIDC for item in granted)
    return by_credential or (organization is not None and organization.enable_oidc)


def second_audience(granted: Iterable[StoredCredential]) -> str | None:
    """Give the audience of the job's second token: that of all Vaults, where a credential asks for it (`v2`).

    SECURITY: never the audience of one credential (`credential`): a token with that one is for its login alone.
    """
    vaults = (item for item in granted if item.kind is CredentialKind.VAULT_OIDC)
    chosen = next((item for item in vaults if item.value.clear.get("tokenFormat") == "v2"), None)
    return None if chosen is None else chosen.value.audience("", chosen.id)


def held(tx: Transaction, holder: Holder, now: datetime, *, for_change: bool = True) -> tuple[Lease, Deployment]:
    """Give the lease and deployment that this holder proves to hold, and goes on to hold while `tx` lasts.

    Raises `StaleLease` with one sentence, whatever was wrong.
    """
    lease = lease_store.get_lease(tx, holder.lease_id, for_change=for_change)
    if (
        lease is None
        or not matches(holder.secret, lease.secret_sha256)
        or lease.runner_id != holder.runner.id
        or lease.fencing_token != holder.fencing_token
        or lease.ended_at is not None
        or lease.expires_at <= now
    ):
        raise StaleLease("this run lease is not held by the caller, or no longer")
    deployment = store.get_deployment(tx, lease.organization_id, lease.deployment_id)
    if deployment is None:
        raise StaleLease("this run lease is not held by the caller, or no longer")
    return lease, deployment


def heartbeat(rules: LeaseRules, holder: Holder) -> HeartbeatAnswer:
    """Move the lease's deadline, and say what the server wants of the run."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        mark_seen(tx, holder.runner.id, now)  # before the lease, as whoever revokes the runner locks the two
        lease, deployment = held(tx, holder, now)
        expires_at = now + rules.lifetime
        lease_store.extend_lease(tx, lease.id, expires_at, now)
    aborting = deployment.status is DeploymentStatus.ABORTING
    return HeartbeatAnswer(expires_at=expires_at, wish=Wish.ABORT if aborting else Wish.GO_ON)


def save_report(rules: LeaseRules, holder: Holder, report: Report) -> None:
    """Store steps, log events, and which secrets turned up in them, masked."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        lease, deployment = held(tx, holder, now)
        lease_store.mark_spoken(tx, lease.id, now)
        keep_report(tx, deployment, report, rules.max_log_bytes)
        leaks = keep_leaks(tx, deployment, report.leaks, by=holder.runner.audit_name, now=now)
    SECRETS_MASKED.inc(leaks)


def save_login(rules: LeaseRules, holder: Holder, login_id: VaultLoginId, report: LoginReport) -> None:
    """Keep what a login of this lease gave."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        lease, _ = held(tx, holder, now)
        keep_login(tx, rules.cipher, lease, login_id, report.given, now=now)


def finish(rules: LeaseRules, holder: Holder, last_word: Finish) -> Deployment:
    """End the lease as the runner says, and with it the deployment, unless its plan now waits for an approval.

    Give the deployment as it was before. A destroy that succeeded takes what else was queued with it, and a plan whose
    environment was archived meanwhile is cancelled: nobody could approve it.
    """
    now, by = rules.clock.now(), holder.runner.audit_name
    with rules.database.write() as tx:
        lease, deployment = held(tx, holder, now)
        lease_store.mark_spoken(tx, lease.id, now)
        event = event_of(deployment.status, deployment.phase, last_word.outcome)
        values = _said(rules.cipher, deployment, last_word, event)
        status = change_state(tx, deployment, event, by=by, now=now, values=values)
        log_store.end_open_steps(tx, deployment.id, now)
        lease_store.end_lease(tx, lease.id, now)
        end_logins(tx, rules.cipher, lease, last_word.vault_logins, now)
        closed = _is_archived(tx, deployment)
        cancelled = cancel_waiting(tx, deployment.environment_id, by="system", now=now) if closed else []
    count_end(deployment, status)
    for item in cancelled:
        count_end(item, item.status)
    return deployment


def _is_archived(tx: Transaction, deployment: Deployment) -> bool:
    found = get_environment(tx, deployment.organization_id, deployment.environment_id)
    return found is None or found.is_archived


def _said(cipher: Cipher, deployment: Deployment, last_word: Finish, event: Event) -> dict[str, Any]:
    """Give the columns that a runner's last word fills."""
    failed = last_word.failed_step
    values: dict[str, Any] = {
        "error": last_word.error,
        "failed_step": None if failed is None else named(failed, deployment.phase),
        "refusal": last_word.refusal.model_dump(mode="json", by_alias=True) if last_word.refusal else None,
    }
    if last_word.outputs is not None and deployment.phase is Phase.APPLY and event is Event.SUCCEED:
        values["outputs_sealed"] = seal_outputs(cipher, deployment, last_word.outputs)
    return values


def end_expired(rules: LeaseRules) -> list[Deployment]:
    """End every lease whose deadline has passed; give the deployments as they are then.

    A deployment is an `INTERNAL_FAILURE`, "runner lost"; one whose holder never spoke has not begun and waits again,
    up to `MOST_RETURNS` times, unless its environment was archived meanwhile: then it is cancelled. One that cannot be
    ended is told in the log and keeps no other from its end.
    """
    now = rules.clock.now()
    _after_a_step_back(rules, now)
    with rules.database.read() as tx:
        expired = lease_store.expired_leases(tx, now)
    ended = []
    for lease in expired:
        try:
            ended.append(_lose(rules, lease, now))
        except Unavailable:
            raise  # the next one would fare no better
        except Exception:  # noqa: BLE001 -- what a run stored must not keep the others from their end
            _log.exception("run_lease.not_ended", lease_id=str(lease.id))
    return [deployment for deployment in ended if deployment is not None]


def _after_a_step_back(rules: LeaseRules, now: datetime) -> None:
    """Give leases from before the clock was set back a deadline that a clock of now can reach.

    None lives longer than `lifetime` from the last word of its holder: a deadline further away is of another time, and
    would keep the lease of a dead runner for as long as the clock was set back.
    """
    latest = now + 2 * rules.lifetime
    with rules.database.read() as tx:
        if not lease_store.is_any_beyond(tx, latest):
            return
    with rules.database.write() as tx:
        found = lease_store.pull_in(tx, latest, now + rules.lifetime)
    _log.warning("run_leases.clock_went_back", leases=found)


def _lose(rules: LeaseRules, lease: Lease, now: datetime) -> Deployment | None:
    with rules.database.write() as tx:
        current = lease_store.get_lease(tx, lease.id, for_change=True)
        if current is None or current.expires_at > now or not lease_store.end_lease(tx, lease.id, now):
            return None  # a heartbeat came after all, or another server was faster
        deployment = _end_lost(tx, rules, current, now, (RUNNER_LOST, SILENT))
    if deployment is not None:
        count_lost(deployment)
    return deployment


def lose_all(tx: Transaction, rules: LeaseRules, runner_id: RunnerId, now: datetime) -> list[Deployment]:
    """End every live lease of a runner that was revoked; give the deployments as they are then.

    To be counted with `count_lost` once that is committed.
    """
    why = (RUNNER_REVOKED, f"{RUNNER_REVOKED}, so this deployment was ended")
    ended = [
        _end_lost(tx, rules, lease, now, why)
        for lease in lease_store.live_leases_of(tx, runner_id)
        if lease_store.end_lease(tx, lease.id, now)
    ]
    return [deployment for deployment in ended if deployment is not None]


def count_lost(deployment: Deployment) -> None:
    """Count a lease that was lost, and its deployment if that ended. To be called once that is committed."""
    RUNNERS_LOST.inc()
    count_end(deployment, deployment.status)


def _end_lost(
    tx: Transaction, rules: LeaseRules, lease: Lease, now: datetime, why: tuple[str, str]
) -> Deployment | None:
    """End what a lost lease was for, and have its tokens swept. `why` is the error, and the sentence for the log."""
    end_logins(tx, rules.cipher, lease, None, now)
    deployment = store.get_deployment(tx, lease.organization_id, lease.deployment_id)
    if deployment is None:
        return None
    if _never_began(tx, lease, deployment):
        return replace(deployment, status=_return(tx, deployment, now))
    _log_loss(tx, deployment, now, why[1])
    status = change_state(tx, deployment, Event.LOSE, by="system", now=now, values={"error": why[0]})
    return replace(deployment, status=status)


def _never_began(tx: Transaction, lease: Lease, deployment: Deployment) -> bool:
    """Whether a lost lease's run can be given to another runner: the answer that carried it may never have arrived."""
    if lease.spoken_at is not None or deployment.status is not DeploymentStatus.IN_PROGRESS:
        return False
    return lease_store.silent_leases(tx, deployment.id) <= MOST_RETURNS


def _return(tx: Transaction, deployment: Deployment, now: datetime) -> DeploymentStatus:
    if deployment.reviewed_at is not None:
        status = change_state(tx, deployment, Event.RETURN_APPROVED, by="system", now=now)
    else:
        status = change_state(tx, deployment, Event.RETURN, by="system", now=now, values={"started_at": None})
    if _is_archived(tx, deployment):  # asked after the change, which waits for whoever archives it at this moment
        status = change_state(tx, replace(deployment, status=status), Event.CANCEL, by="system", now=now)
    return status


def _log_loss(tx: Transaction, deployment: Deployment, now: datetime, sentence: str) -> None:
    steps = log_store.list_steps(tx, deployment.id)
    still_open = [step.name for step in steps if step.completed_at is None]
    for step in still_open[-1:] or [step.name for step in steps[-1:]]:
        number = min(log_store.last_number(tx, deployment.id, step) + 1, MAX_NUMBER)  # the run decided the last one
        event = LogEvent(step=step, number=number, at=now, level=LogLevel.SYSTEM, message=sentence)
        log_store.save_events(tx, deployment.id, [event])
    log_store.end_open_steps(tx, deployment.id, now)
