"""Checks below HTTP: the address, its name, the port."""

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from runpass.vault.doctor.examination import Examination, is_loopback
from runpass.vault.doctor.model import CheckResult, Verdict, result
from runpass.vault.errors import AddressInvalid
from runpass.vault.transport import clean_address

PORTS = {"https": 443, "http": 80}
MAX_ADDRESSES = 8


def check_address(exam: Examination) -> Iterator[CheckResult]:
    """Whether the address is one, and whether what is sent there is encrypted."""
    try:
        parts = urlsplit(clean_address(exam.target.address))
    except AddressInvalid as error:
        yield result("address", Verdict.FAILED, error.message, error.hint or "")
        return
    exam.host, exam.port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    seen = f"{parts.scheme}, host {exam.host}, port {exam.port}"
    if parts.scheme == "https" or is_loopback(exam.host):
        yield result("address", Verdict.OK, seen)
        return
    yield result(
        "address",
        Verdict.WARNING,
        f"{seen}: tokens and secrets cross the network unencrypted",
        "Give the Vault a certificate, and write the address with https.",
    )


def check_name(exam: Examination) -> Iterator[CheckResult]:
    """Whether the host name is known here."""
    try:
        ip_address(exam.host)
    except ValueError:
        pass
    else:
        exam.ips = (exam.host,)
        yield result("dns", Verdict.OK, f"{exam.host} is an IP address")
        return
    found = _resolved(exam.host, exam.port, exam.limits.request_seconds)
    if isinstance(found, str):
        yield result(
            "dns",
            Verdict.FAILED,
            f"{exam.host}: {found}",
            "Check the host name, and this machine's name resolution (a runner may ask another server than a laptop).",
        )
        return
    exam.ips = found
    yield result("dns", Verdict.OK, f"{exam.host} is {', '.join(found)}")


def _resolved(host: str, port: int, seconds: float) -> tuple[str, ...] | str:
    """Give the addresses, or why there are none. A resolver takes its time, so it is asked in a thread of its own."""
    answers: list[tuple[str, ...] | str] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            answers.append("the name is not known here")
        else:
            answers.append(tuple(dict.fromkeys(str(address[0]) for *_, address in found))[:MAX_ADDRESSES])

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else f"the name server did not answer within {seconds:g} s"


def check_port(exam: Examination) -> Iterator[CheckResult]:
    """Whether somebody listens."""
    failures: list[str] = []
    for address in exam.ips:
        try:
            with socket.create_connection((address, exam.port), timeout=exam.limits.request_seconds):
                exam.ip = address
        except OSError as error:
            failures.append(f"{address}: {_why(error, exam.limits.request_seconds)}")
            continue
        seen = f"{address} accepts connections on port {exam.port}"
        if not failures:
            yield result("tcp", Verdict.OK, seen)
            return
        more = "; ".join(failures)
        yield result(
            "tcp", Verdict.WARNING, f"{seen}; {more}", "Take the addresses that do not answer out of the name."
        )
        return
    yield result(
        "tcp",
        Verdict.FAILED,
        f"nobody answers on port {exam.port}: {'; '.join(failures)}",
        "Check the port, and the firewalls between this machine and the Vault (8200 is Vault's usual port).",
    )


def _why(error: OSError, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return (error.strerror or "no connection").lower()
