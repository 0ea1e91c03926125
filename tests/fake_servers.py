"""Servers on a socket: those that answer the same bytes to everybody, and what the other fakes stand on; and a CA."""

import contextlib
import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Door(BaseHTTPRequestHandler):
    """A handler that keeps connections, says nothing, and sends each answer at once. Subclasses `reply`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self) -> None:
        """Answer one request, of whatever method."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.reply()

    do_POST = do_PUT = do_GET  # noqa: N815 -- the base class's names

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send(self, status: int, content: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", *headers]
        if status != 204:  # which has no body, and so no length (RFC 9110, section 8.6)
            lines.append(f"Content-Length: {len(content)}")
        # One write: two would wait for a delayed acknowledgement.
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client was killed, as some tests do
            super().handle()


class OnASocket:
    """A server at `url` for as long as its context lasts; `door` answers its requests."""

    def __init__(self, door: type[Door]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), door)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


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
