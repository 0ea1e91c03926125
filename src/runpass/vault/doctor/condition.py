"""Checks of the server as a whole: who answers, whether it is unsealed, what time it has."""

import email.utils
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import httpx2

from runpass.vault import deadline, transport
from runpass.vault.doctor.examination import Examination, Server
from runpass.vault.doctor.model import CheckResult, Verdict, result
from runpass.vault.errors import ConnectionFailed, TlsFailed, VaultFailure

ANY_HEALTH: Final = frozenset({400, 403, 404, 405, 429, 472, 473, 501, 503})
RECOVERING: Final = 472
MUCH: Final = 5
"""Seconds that clocks may differ before it is worth a word."""
TOO_MUCH: Final = 55
"""A role forgives a minute."""
OF_CLIENT_CERTIFICATE: Final = ("certificate required", "bad certificate", "unknown ca", "handshake failure")


def check_server(exam: Examination) -> Iterator[CheckResult]:
    """Whether a Vault answers, and whether it is initialised and unsealed."""
    root = exam.client.in_namespace("")
    try:
        answer = root.read("sys/health", accept=ANY_HEALTH)
        if "sealed" not in answer.body:
            answer = root.read("sys/seal-status", accept=ANY_HEALTH)
    except ConnectionFailed as error:
        yield _no_answer(error)
        return
    body = answer.body
    if answer.status == 429 and "sealed" not in body:  # noqa: PLR2004 -- HTTP's own number
        yield result(
            "server", Verdict.FAILED, "the server refuses more requests for now (rate limit)", "Try again later."
        )
        return
    if not isinstance(body.get("sealed"), bool):
        yield result(
            "server",
            Verdict.FAILED,
            f"something answers ({answer.status}), and not as a Vault does",
            "Check host, port and path of the address, and proxies in between.",
        )
        return
    exam.server = _server(body)
    exam.server_time = body["server_time_utc"] if isinstance(body.get("server_time_utc"), int) else None
    yield _state(answer.status, body, exam.server)


def _server(body: Mapping[str, Any]) -> Server:
    version = body.get("version")
    text = version if isinstance(version, str) else ""
    # HashiCorp's health tells whether it is the enterprise edition; OpenBao began with version 2.
    return Server("vault" if "enterprise" in body or text.startswith(("1.", "0.")) else "openbao", text)


def _state(status: int, body: Mapping[str, Any], server: Server) -> CheckResult:
    name = f"{'HashiCorp Vault' if server.kind == 'vault' else 'OpenBao'} {server.version or '(no version)'}"
    if body.get("initialized") is False:
        return result("server", Verdict.FAILED, f"{name} is not initialised", "An operator has to initialise it.")
    if body["sealed"]:
        return result("server", Verdict.FAILED, f"{name} is sealed", "An operator has to unseal it.")
    if status == RECOVERING:
        return result(
            "server", Verdict.FAILED, f"{name} is a disaster recovery secondary", "Use the address of the primary."
        )
    standby = ", a standby node" if body.get("standby") is True else ""
    return result("server", Verdict.OK, f"{name} is unsealed{standby}")


def _no_answer(error: VaultFailure) -> CheckResult:
    if isinstance(error, TlsFailed) and any(words in error.message for words in OF_CLIENT_CERTIFICATE):
        return result(
            "server",
            Verdict.FAILED,
            error.message,
            "The Vault asks for a client certificate of an authority that it trusts: give the certificate and its key.",
        )
    return result("server", Verdict.FAILED, error.message, error.hint or "")


def check_clock(exam: Examination) -> Iterator[CheckResult]:
    """How far the Vault's clock and this machine's are apart. The tokens' times are the control plane's."""
    asked = exam.clock.now()
    there = _date(exam)
    middle = asked + (exam.clock.now() - asked) / 2
    if there is not None:
        seconds, source = (there - middle).total_seconds() + 0.5, "Date header"  # it is cut to whole seconds
    elif exam.server_time is not None:
        seconds, source = exam.server_time + 0.5 - middle.timestamp(), "health answer"
    else:
        yield result("clock", Verdict.UNKNOWN, "the Vault does not say what time it has", "Compare the clocks by hand.")
        return
    way = "ahead of" if seconds > 0 else "behind"
    seen = f"the Vault's clock is {abs(seconds):.0f} s {way} this machine's ({source})"
    if abs(seconds) <= MUCH:
        yield result("clock", Verdict.OK, f"the Vault's clock and this machine's agree ({source})")
    elif abs(seconds) <= TOO_MUCH:
        yield result("clock", Verdict.WARNING, seen, "Let both follow a time server.")
    else:
        next_step = "Let both follow a time server: identity tokens are refused as expired, or as not valid yet."
        yield result("clock", Verdict.FAILED, seen, next_step)


def _date(exam: Examination) -> datetime | None:
    """Give the time of the answer's `Date` header."""
    address, tls, seconds = exam.client.address, exam.target.tls, exam.limits.request_seconds
    try:
        with (
            transport.open_pool(address, tls=tls, timeout=seconds) as pool,
            deadline.within(seconds),
            pool.stream("GET", f"{address}/v1/sys/health") as answer,
        ):
            found = email.utils.parsedate_to_datetime(answer.headers.get("date", ""))
    except (httpx2.HTTPError, httpx2.StreamError, ValueError, VaultFailure):
        return None
    return found if found.tzinfo is not None else None
