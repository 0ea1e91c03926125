"""What is to be done at Vaults beside the runs, taken from the server one by one.

Connection tests are made here and told check by check; sweeps are in `sweeping`, key checks in `key_checks`.
"""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import RunpassError, StaleLease, Unauthenticated
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, Refetched
from runpass.protocol.reports import MAX_EXPLAINED, Explained
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult
from runpass.protocol.vault_tasks import MAX_CHECKS, Checked, ConnectionTest, TestReport, Verdict
from runpass.runner.control_plane import ControlPlane
from runpass.runner.credentials.vault_oidc import tls_of
from runpass.runner.key_checks import check_keys
from runpass.runner.sweeping import sweep
from runpass.vault.doctor.diagnosis import diagnose
from runpass.vault.doctor.model import CheckResult, DoctorTarget, Expected, Knowledge, ProbeTokens

log = structlog.get_logger()
LONGEST_PAUSE_SECONDS: Final = 30.0
SHORTEST_POLL_SECONDS: Final = 0.5
MAX_TEXT: Final = 4_000


class ConnectionTests:
    """The runner's loop beside its runs: one test or sweep at a time."""

    def __init__(self, control_plane: ControlPlane, ca_bundle: Path | None, clock: Clock) -> None:
        self._control_plane = control_plane
        self._ca_bundle = ca_bundle
        self._clock = clock

    async def take_again_and_again(self) -> None:
        """Take tests and sweeps and make them until cancelled; ends when the server no longer knows this runner."""
        pause = SHORTEST_POLL_SECONDS
        while True:
            asked_at = self._clock.monotonic()
            try:
                task = await self._control_plane.next_task()
                if isinstance(task, Sweep):
                    await self._sweep(task)
                elif isinstance(task, KeyCheck):
                    await self._check_keys(task)
                elif task is not None:
                    await self._make(task)
                pause = SHORTEST_POLL_SECONDS
            except Unauthenticated:
                return  # the loop that takes runs says so
            except RunpassError as error:
                log.warning("no_connection_test", error=error.message)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            if self._clock.monotonic() - asked_at < SHORTEST_POLL_SECONDS:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret

    async def _sweep(self, task: Sweep) -> None:
        try:
            report = await asyncio.to_thread(sweep, task, self._ca_bundle)
        except Exception:
            log.exception("sweep_failed", task=str(task.task_id))
            report = SweepReport(result=SweepResult.FAILED, said="The runner failed; its own log says why.")
        with contextlib.suppress(StaleLease):  # it took too long: somebody else has it by now
            await self._control_plane.finish_sweep(task, report)

    async def _check_keys(self, task: KeyCheck) -> None:
        try:
            report = await asyncio.to_thread(check_keys, task, self._ca_bundle)
        except Exception:
            log.exception("key_check_failed", task=str(task.task_id))
            said = "The runner failed; its own log says why."
            report = KeyCheckReport(reached=False, refetched=Refetched.NOT_READ, said=said)
        with contextlib.suppress(StaleLease):  # it took too long: nobody waits any more
            await self._control_plane.finish_key_check(task, report)

    async def _make(self, test: ConnectionTest) -> None:
        credential = test.grant.value
        log.info("connection_test", test=str(test.task_id), address=credential.address, role=credential.role_name)
        try:
            checks = await asyncio.to_thread(examine, test, self._ca_bundle)
        except Exception:
            log.exception("connection_test_failed", test=str(test.task_id))
            checks = (Checked(name="runner", verdict=Verdict.FAILED, seen="The runner failed; its own log says why."),)
        with contextlib.suppress(StaleLease):  # it took too long: nobody waits any more
            await self._control_plane.finish_test(test, TestReport(checks=checks))


def examine(test: ConnectionTest, ca_bundle: Path | None) -> tuple[Checked, ...]:
    """Make a test and give its checks. The tokens that come of it are revoked before it returns."""
    credential = test.grant.value
    target = DoctorTarget(
        address=credential.address,
        role=credential.role_name,
        mount=credential.jwt_auth_backend_path,
        namespace=credential.namespace,
        secret_namespace=credential.secret_namespace,
        tls=tls_of(credential, ca_bundle),
        secrets=test.paths,
    )
    tokens = ProbeTokens(expired=test.expired_token, login=test.login_token)
    expected = Expected(issuer=test.issuer, jwks_url=test.jwks_url, audience=test.audience)
    with contextlib.closing(diagnose(target, tokens, knowledge=Knowledge(expected=expected))) as results:
        return tuple(_checked(item) for item in results)[:MAX_CHECKS]


def _checked(found: CheckResult) -> Checked:
    return Checked(
        name=found.check,
        verdict=Verdict(found.verdict.value),
        seen=found.seen[:MAX_TEXT],
        next_step=found.next_step[:MAX_TEXT] or None,
        explained=tuple(
            Explained(
                name=item.name,
                passed=item.passed,
                expected=item.expected[:MAX_TEXT],
                received=item.received[:MAX_TEXT],
                fix=item.fix[:MAX_TEXT] or None,
            )
            for item in found.explained[:MAX_EXPLAINED]
        ),
    )
