"""Servers that answer the same bytes to everybody, to see what clients make of them; and a CA for them."""

import contextlib
import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Answering:
    """`requests` holds what clients sent, as bytes, in order of arrival."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def answering(answer: bytes, *, tls: ssl.SSLContext | None = None, hold: bool = False) -> Iterator[Answering]:
    """A server that sends `answer` and closes; with `hold` it sends it and keeps the connection open."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    server = Answering(listener.getsockname()[1])
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # a TLS handshake that the client refuses is one as well
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(2)
                    _talk(connection, answer, server, tls=tls, until=stop if hold else None)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()
        listener.close()


def _talk(
    raw: socket.socket, answer: bytes, server: Answering, *, tls: ssl.SSLContext | None, until: threading.Event | None
) -> None:
    connection = tls.wrap_socket(raw, server_side=True) if tls else raw
    with contextlib.closing(connection):
        server.requests.append(_whole_request(connection))
        connection.sendall(answer)
        if until is not None:
            until.wait(5)


def _whole_request(connection: socket.socket) -> bytes:
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            return received
        chunk = connection.recv(65536)
        if not chunk:
            return received
        received += chunk


def http(status: int, body: bytes | str = b"", *headers: str) -> bytes:
    """The bytes of a whole HTTP answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def certificates(directory: Path, *, host: str = "127.0.0.1", expired: bool = False) -> tuple[Path, ssl.SSLContext]:
    """A CA of its own (its certificate's path) and a server context with a certificate that it signed."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    leaf = _certificate(name, ca_name, key, ca_key, host, expired=expired)
    paths = {part: directory / f"{part}.pem" for part in ("ca", "leaf", "key")}
    pem = serialization.Encoding.PEM
    paths["ca"].write_bytes(ca.public_bytes(pem))
    paths["leaf"].write_bytes(leaf.public_bytes(pem))
    kind = serialization.PrivateFormat.PKCS8
    paths["key"].write_bytes(key.private_bytes(pem, kind, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["leaf"], paths["key"])
    return paths["ca"], context


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    host: str | None,
    *,
    expired: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    end = now - dt.timedelta(days=1) if expired else now + dt.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if host is None:
        usage = x509.KeyUsage(
            *([False] * 5), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        with contextlib.suppress(ValueError):
            address = x509.IPAddress(ipaddress.ip_address(host))
            return builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(
                signer, hashes.SHA256()
            )
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(signer, hashes.SHA256())
