"""Sweeping: revoke the Vault token that another run left behind, if the Vault itself says that it is that run's.

The runner logs in with the control plane's own kind of token, which may look up and revoke by accessor and nothing
else, and ends that login before it reports.
"""

import contextlib
from pathlib import Path
from typing import Any, Final

import structlog

from runpass.protocol import sweeper
from runpass.protocol.credentials import VaultOidc
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult
from runpass.runner.credentials.vault_oidc import tls_of
from runpass.vault.client import VaultClient
from runpass.vault.errors import LoginRefused, VaultFailure, visible
from runpass.vault.login import jwt_login

log = structlog.get_logger()
APPLY: Final = "Run `runpass vault apply` for this credential: it writes the role that lets tokens be swept."
MAPPED: Final = (
    "Run `runpass vault apply` for this credential: its role maps deploymentLogId into the token, so that a token can"
    " be told from a stranger's."
)
UNKNOWN: Final = frozenset({400, 403, 404})
"""What a Vault answers about an accessor that it does not know; OpenBao 400, others 403 or 404."""
MAX_SAID: Final = 2_000


def sweep(task: Sweep, ca_bundle: Path | None) -> SweepReport:
    """Do a sweep and say what came of it. Blocking; raises nothing that a Vault could cause."""
    credential = task.grant.value
    log.info("sweep", task=str(task.task_id), address=credential.address, deployment=str(task.deployment_id))
    try:
        with contextlib.closing(_client(credential, ca_bundle)) as client:
            report = _sweep(client.in_namespace(credential.namespace), task)
    except LoginRefused as error:
        report = _failed(error, APPLY)
    except VaultFailure as error:
        report = _failed(error, error.hint)
    log.info("sweep_ended", task=str(task.task_id), result=report.result.value, said=report.said)
    return report


def _client(credential: VaultOidc, ca_bundle: Path | None) -> VaultClient:
    return VaultClient(credential.address, tls=tls_of(credential, ca_bundle), timeout=float(credential.timeout_seconds))


def _sweep(client: VaultClient, task: Sweep) -> SweepReport:
    mount = task.grant.value.jwt_auth_backend_path
    own = jwt_login(client, mount=mount, role=sweeper.ROLE, jwt=task.sweeper_token)
    mine = client.with_token(own.client_token)
    try:
        return _look_and_revoke(mine, task)
    finally:
        with contextlib.suppress(VaultFailure):  # it lives for a minute at most
            mine.write("auth/token/revoke-accessor", {"accessor": own.accessor})


def _look_and_revoke(client: VaultClient, task: Sweep) -> SweepReport:
    wanted = {"accessor": task.accessor}
    found = client.write("auth/token/lookup-accessor", wanted, accept=UNKNOWN)
    if found.status in UNKNOWN:
        if any("invalid accessor" in error for error in found.errors):
            return SweepReport(result=SweepResult.ALREADY_GONE)
        said = "; ".join(found.errors)[:MAX_SAID]
        return SweepReport(result=SweepResult.FAILED, said=f"the accessor could not be looked up: {said}", hint=APPLY)
    refusal = _not_ours(found.data, task)
    if refusal is not None:
        return refusal
    answer = client.write("auth/token/revoke-accessor", wanted)
    gone = any("No token found" in warning for warning in answer.warnings)
    return SweepReport(result=SweepResult.ALREADY_GONE if gone else SweepResult.REVOKED)


def _not_ours(data: Any, task: Sweep) -> SweepReport | None:
    """Give the report on a token that is not certainly that of the login.

    SECURITY: the accessor comes from whoever held the lease, and the sweeper may revoke any token. So path, role and
    run must all be those of the login, in the Vault's own words.
    """
    credential = task.grant.value
    meta = data.get("meta") or {}
    path, role, run = data.get("path"), meta.get("role"), meta.get("deploymentLogId")
    is_of_role = path == f"auth/{credential.jwt_auth_backend_path}/login" and _same(role, credential.role_name)
    if is_of_role and run is None:
        said = "the token's metadata does not say which run it is of"
        return SweepReport(result=SweepResult.NOT_VERIFIABLE, said=said, hint=MAPPED)
    if is_of_role and run == str(task.deployment_id):
        return None
    said = f"the token is of {_shown(path)}, role {_shown(role)}, run {_shown(run)}"
    return SweepReport(result=SweepResult.NOT_OURS, said=said)


def _same(role: Any, wanted: str) -> bool:
    return isinstance(role, str) and role.lower() == wanted.lower()  # a Vault keeps role names in lower case


def _shown(value: Any) -> str:
    return visible(value, 255) if isinstance(value, str) else "unknown"


def _failed(error: VaultFailure, hint: str | None) -> SweepReport:
    words = f" Vault says: {error.vault_error}" if error.vault_error else ""
    return SweepReport(result=SweepResult.FAILED, said=f"{error.message}.{words}"[:MAX_SAID], hint=hint)
