"""What httpx's exceptions mean, told as ours, and the one pool of connections to a Vault."""

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from runpass.secret import Secret
from runpass.vault.deadline import Transport
from runpass.vault.errors import AddressInvalid, AnswerNotUnderstood, Place, TlsFailed, Unreachable, VaultFailure

UNKNOWN_CA: Final = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's X509_V_ERR codes for a chain that ends at nobody who is trusted."""
HOSTNAME_MISMATCH: Final = frozenset({62, 64})
EXPIRED: Final = frozenset({9, 10})
LABEL: Final = 63


def clean_address(address: str) -> str:
    """Give the address without a slash at its end; it may carry a path prefix, nothing else.

    Raises `AddressInvalid` that does not repeat it: a password may stand in it.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    odd = any(c.isspace() or not c.isprintable() or c in "?#\\" for c in address) or "@" in parts.netloc
    labels = (host or "").removesuffix(".").split(".")  # RFC 1035, section 2.3.4: 1 to 63 octets each
    odd = odd or ".." in parts.path.split("/") or not all(0 < len(label) <= LABEL for label in labels)
    if parts.scheme not in {"http", "https"} or odd:
        raise AddressInvalid(
            "the Vault's address is not a URL that can be used",
            hint="Write it like https://vault.example.com:8200, without user, query or fragment.",
        )
    return address.rstrip("/")


def clean_proxy(address: str) -> str:
    """Give a proxy's address. Raises `AddressInvalid` for one with a path, or with a user: it would be in arguments."""
    try:
        found = clean_address(address)
    except AddressInvalid:
        found = ""
    parts = urlsplit(found)
    if parts.scheme != "http" or parts.path:
        raise AddressInvalid(
            "the proxy is not one that can be used", hint="Write it like http://proxy.example.com:3128."
        )
    return found


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to take for the Vault, and what to show it. Empty: the authorities that this machine trusts, and nothing."""

    ca_bundle: Path | None = None
    """A file of certificates (PEM). SECURITY: trusted instead of this machine's authorities, as are those below."""
    ca_certificates: str | None = None
    """Certificates (PEM) that are trusted instead of the file's."""
    client_certificate: str | None = None
    """The chain (PEM) to show, with its key."""
    client_key: Secret | None = None
    server_name: str | None = None
    """The name to ask for and to find in the certificate, instead of the address's host."""
    proxy: str | None = None
    """The HTTP proxy to go through (`http://host:port`); it sees no more than a host's name where the Vault has TLS."""


class _Named(Transport):
    """Connections to a server that has another name than the address says."""

    def __init__(self, trust: ssl.SSLContext, limits: httpx2.Limits, proxy: str | None, server_name: str) -> None:
        super().__init__(trust, limits, proxy)
        self._server_name = server_name

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. SECURITY: the name is sent (SNI) and it is what the certificate is checked for."""
        request.extensions = {**request.extensions, "sni_hostname": self._server_name}
        return super().handle_request(request)


def open_pool(address: str, *, tls: Tls, timeout: float) -> httpx2.Client:
    """Give a pool of connections: no proxies or certificates from the environment, no redirects, no cookies."""
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0)
    context = trust(address, tls)
    proxy = None if tls.proxy is None else clean_proxy(tls.proxy)
    named = tls.server_name
    return httpx2.Client(
        transport=Transport(context, limits, proxy) if named is None else _Named(context, limits, proxy, named),
        trust_env=False,
        follow_redirects=False,
        timeout=timeout,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def trust(address: str, tls: Tls) -> ssl.SSLContext:
    """Give whom to believe and what to show; raises `TlsFailed` for certificates that cannot be used."""
    if urlsplit(address).scheme == "http":
        # Loading the machine's certificates costs tens of milliseconds; this context trusts nobody.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _authorities(tls)
    if tls.client_certificate is not None and tls.client_key is not None:
        _show(context, tls.client_certificate, tls.client_key)
    return context


def _authorities(tls: Tls) -> ssl.SSLContext:
    if tls.ca_certificates is not None:
        try:
            return ssl.create_default_context(cadata=tls.ca_certificates)
        except (ValueError, ssl.SSLError) as error:
            raise TlsFailed("the CA bundle is not PEM certificates", hint="Give it to the credential again.") from error
    if tls.ca_bundle is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(tls.ca_bundle))
    except (OSError, ssl.SSLError) as error:
        raise TlsFailed(
            f"the CA bundle {tls.ca_bundle} cannot be read as PEM certificates", hint="Check the file and its rights."
        ) from error


def _show(context: ssl.SSLContext, certificate: str, key: Secret) -> None:
    pem = f"{certificate.rstrip()}\n{key.reveal()}".encode()
    try:
        with _as_file(pem) as path:
            context.load_cert_chain(path, password="")  # without one, OpenSSL would ask at the terminal
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise TlsFailed(
            "the client certificate and its key cannot be used for TLS", hint="Check that they belong together."
        ) from error


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give a path that the content can be read from inside the block. Python's `ssl` takes keys from files alone.

    SECURITY: a file in memory that has no name, or else one that only this user may read.
    """
    try:
        descriptor = os.memfd_create("client-key", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # not on Linux, or not allowed there
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
        return
    with os.fdopen(descriptor, "wb") as memory:
        memory.write(content)
        memory.flush()
        yield f"/proc/self/fd/{descriptor}"


NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.InvalidURL)
"""What is raised before a request is on its way."""


def translate(error: Exception, place: Place) -> VaultFailure:
    """Give our error for one that httpx raised while asking `place`."""
    found = _translated(error, place)
    found.has_arrived = not isinstance(error, NEVER_SENT)
    return found


def _translated(error: Exception, place: Place) -> VaultFailure:
    causes = tuple(_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, place)
        if isinstance(cause, ssl.SSLError):
            return TlsFailed(
                f"no TLS connection to {place}: {_reason(cause)}",
                hint="If the port speaks plain HTTP, write the address with http://.",
            )
    if isinstance(error, httpx2.ProxyError):
        return Unreachable(f"the proxy does not connect to {place}", hint="Check the proxy, and what it allows.")
    if isinstance(error, (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.DecodingError)):
        return AnswerNotUnderstood(
            f"the answer of {place} broke off",
            hint="Check the port, and any proxy or load balancer in between.",
        )
    return _unreachable(error, causes, place)


def _unreachable(error: Exception, causes: tuple[BaseException, ...], place: Place) -> Unreachable:
    if isinstance(error, httpx2.TimeoutException):
        return timed_out(place)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable(
            f"no connection to {place}: the host name is not known here",
            hint="Check the host name in the address, and this machine's name resolution.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable(
            f"no connection to {place}: the connection was refused",
            hint="Nothing listens on this port, or a firewall says no. Check host and port.",
        )
    return Unreachable(
        f"no connection to {place}", hint="Check host, port, network and firewall between this machine and the Vault."
    )


def timed_out(place: Place) -> Unreachable:
    """Give the error for a Vault that did not answer in time."""
    return Unreachable(
        f"{place} did not answer in time",
        hint="A firewall may drop the packets, or the Vault is overloaded.",
    )


def _certificate(error: ssl.SSLCertVerificationError, place: Place) -> TlsFailed:
    code = getattr(error, "verify_code", 0)
    if code in UNKNOWN_CA:
        return TlsFailed(
            f"the certificate of {place} is signed by an authority that is not trusted here",
            hint="Give the CA's certificate as the CA bundle, or install it on this machine.",
        )
    if code in HOSTNAME_MISMATCH:
        return TlsFailed(
            f"the certificate of {place} is for another host name",
            hint="Use the name that the certificate carries in the address.",
        )
    if code in EXPIRED:
        return TlsFailed(
            f"the certificate of {place} is expired or not valid yet", hint="Renew it, or check this machine's clock."
        )
    return TlsFailed(f"the certificate of {place} is not accepted: {_reason(error)}", hint="Renew it.")


def _reason(error: ssl.SSLError) -> str:
    reason: str | None = getattr(error, "reason", None)  # absent when Python itself made the error
    return (reason or "the handshake failed").replace("_", " ").lower()


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
