"""A Vault that sends byte after byte holds nobody longer than the timeout."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from fake_servers import certificates
from runpass.vault.client import VaultClient
from runpass.vault.errors import Unreachable

HEADERS = b"HTTP/1.1 200 OK\r\nX-Slow: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"
FAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def serving(talk) -> Iterator[str]:
    """A server whose one thread per connection does `talk(connection, stop)`."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, stop)

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                threading.Thread(target=one, args=[connection], daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


def dripping(start: bytes, piece: bytes = b"x"):
    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(start)
        while not stop.wait(0.05):
            connection.sendall(piece)

    return talk


@pytest.mark.parametrize(
    ("start", "piece"),
    [(HEADERS, b"x"), (BODY, b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["headers", "body", "informational"],
)
def test_whatever_drips_is_ended_by_the_one_timeout(start, piece):
    with serving(dripping(start, piece)) as address, VaultClient(address, timeout=0.6) as vault:
        started = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            vault.read("secret/app")
        assert 0.5 < time.monotonic() - started < 1.1


def test_dripping_below_tls_is_ended_as_well(tmp_path):
    ca, tls = certificates(tmp_path)

    def talk(connection: socket.socket, stop: threading.Event) -> None:
        with tls.wrap_socket(connection, server_side=True) as wrapped:
            dripping(HEADERS)(wrapped, stop)

    with serving(talk) as address:
        secure = address.replace("http:", "https:")
        with VaultClient(secure, ca_bundle=ca, timeout=0.6) as vault:
            started = time.monotonic()
            with pytest.raises(Unreachable, match="did not answer in time"):
                vault.read("secret/app")
            assert time.monotonic() - started < 1.1


def test_a_reused_connection_has_the_deadline_of_its_newest_exchange():
    connections: list[int] = []

    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connections.append(1)
        while not stop.is_set() and connection.recv(65536):
            stop.wait(0.4)
            connection.sendall(FAST)

    with serving(talk) as address, VaultClient(address, timeout=0.6) as vault:
        for _ in range(3):
            assert vault.read("secret/app").status == 200
    assert len(connections) == 1


def test_all_addresses_of_a_name_share_the_deadline(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        port = full.getsockname()[1]
        for _ in range(3):  # fills the queue, so that further connections are not answered
            waiting.enter_context(contextlib.closing(stuffing := socket.socket()))
            stuffing.setblocking(False)  # noqa: FBT003 -- the standard library's own
            stuffing.connect_ex(("127.0.0.1", port))
        many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in [1] * 5]
        monkeypatch.setattr("runpass.vault.deadline._addresses", lambda *_: [address[4][0] for address in many])
        with VaultClient(f"http://many.test:{port}", timeout=0.4) as vault:
            started = time.monotonic()
            with pytest.raises(Unreachable):
                vault.read("secret/app")
            assert time.monotonic() - started < 0.9
