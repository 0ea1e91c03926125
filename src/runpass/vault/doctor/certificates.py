"""The TLS check: whom the certificate names, who signed it, until when, and what is wrong with it."""

import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from runpass.clock import Clock
from runpass.vault import transport
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.model import CheckResult, Verdict, result
from runpass.vault.errors import Place, TlsFailed, visible

SOON: Final = dt.timedelta(days=14)
MAX_NAMES: Final = 10
MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Peer:
    """A certificate that was shown."""

    names: tuple[str, ...]
    authority: str
    begins: dt.datetime
    ends: dt.datetime

    def __str__(self) -> str:
        return f"{', '.join(self.names) or 'no name'}; signed by {self.authority}; until {self.ends:%Y-%m-%d %H:%M} UTC"


def check_tls(exam: Examination) -> Iterator[CheckResult]:
    """Whether the certificate can be trusted, and what it says."""
    if exam.target.address.lower().startswith("http:"):
        yield result("tls", Verdict.SKIPPED, "the address is not https")
        return
    try:
        context = transport.trust(exam.target.address, exam.target.tls)
    except TlsFailed as error:
        yield result("tls", Verdict.FAILED, error.message, error.hint or "")
        return
    yield from _own_certificate(exam)
    try:
        version, peer = _handshake(exam, context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        yield _refused(exam, error)
        return
    seen = f"{version}; the certificate is for {peer}" if peer else str(version)
    if peer is not None and peer.ends - exam.clock.now() < SOON:
        yield result("tls", Verdict.WARNING, f"{seen}: it ends soon", "Renew the Vault's certificate.")
        return
    yield result("tls", Verdict.OK, seen)


def _handshake(exam: Examination, context: ssl.SSLContext) -> tuple[str | None, Peer | None]:
    name = exam.target.tls.server_name or exam.host
    seconds = exam.limits.request_seconds
    with (
        socket.create_connection((exam.ip, exam.port), timeout=seconds) as raw,
        context.wrap_socket(raw, server_hostname=name) as connection,
    ):
        return connection.version(), _peer(connection.getpeercert(binary_form=True))


def _refused(exam: Examination, error: Exception) -> CheckResult:
    """Give the result of a handshake that failed, with what the certificate says if there is one."""
    place = Place(exam.target.address)
    if isinstance(error, TimeoutError):
        failure: Exception = transport.timed_out(place)
        next_step = "The port accepts connections and does not speak TLS, or something in between holds them back."
        return result("tls", Verdict.FAILED, str(failure), next_step)
    told = transport.translate(error, place)
    shown = _shown(exam) if isinstance(error, ssl.SSLCertVerificationError) else None
    seen = f"{told.message}; it is for {shown}" if shown else told.message
    return result("tls", Verdict.FAILED, seen, _advice(exam, error, shown) or told.hint or "")


def _advice(exam: Examination, error: Exception, shown: Peer | None) -> str:
    code = getattr(error, "verify_code", 0)
    if shown is None:
        return ""
    if code in transport.HOSTNAME_MISMATCH:
        usable = ", ".join(shown.names[:3]) or "none"
        return f"Write a name of the certificate into the address, or give it as the server name: {usable}."
    if code in transport.UNKNOWN_CA:
        own = exam.target.tls.ca_certificates or exam.target.tls.ca_bundle
        given = "The CA bundle that was given is another authority's; give" if own else "Give"
        return f"{given} the certificate of {shown.authority} as the CA bundle."
    now = exam.clock.now()
    if code in transport.EXPIRED:
        return "Renew the Vault's certificate." if shown.ends < now else "Check this machine's clock."
    return ""


def _shown(exam: Examination) -> Peer | None:
    """Give the certificate that was not accepted.

    SECURITY: nothing is sent over this connection, and nothing is shown on it: it is closed after the handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, ValueError):
        return _handshake(exam, context)[1]
    return None


def _peer(der: bytes | None) -> Peer | None:
    if not der:
        return None
    try:
        return peer_of(x509.load_der_x509_certificate(der))
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None


def peer_of(certificate: x509.Certificate) -> Peer:
    """Give what a certificate says, safe to print."""
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(item) for kind in (x509.DNSName, x509.IPAddress) for item in known.get_values_for_type(kind)]
    return Peer(
        tuple(visible(name, MAX_NAME) for name in names[:MAX_NAMES]),
        visible(certificate.issuer.rfc4514_string(), MAX_NAME),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _own_certificate(exam: Examination) -> Iterator[CheckResult]:
    """Whether the certificate that is shown to the Vault is still good."""
    text = exam.target.tls.client_certificate
    if text is None:
        return
    try:
        own = peer_of(x509.load_pem_x509_certificates(text.encode())[0])
    except (ValueError, IndexError, UnsupportedAlgorithm, x509.InvalidVersion):
        yield result("client_certificate", Verdict.FAILED, "the client certificate cannot be read", "Give it again.")
        return
    yield _own_verdict(own, exam.clock)


def _own_verdict(own: Peer, clock: Clock) -> CheckResult:
    seen, now = f"the client certificate is for {own}", clock.now()
    if own.ends < now or own.begins > now:
        return result(
            "client_certificate", Verdict.FAILED, f"{seen}: it is not valid now", "Give a new one, and its key."
        )
    if own.ends - now < SOON:
        return result("client_certificate", Verdict.WARNING, f"{seen}: it ends soon", "Give a new one, and its key.")
    return result("client_certificate", Verdict.OK, seen)
