"""One deadline for a whole exchange with a Vault: connecting, TLS, sending, and every byte of the answer.

The HTTP library's timeouts count from byte to byte, so that a Vault which sends one byte at a time, in its headers for
example, is never too late for them.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore2
import httpx2

from runpass.clock import SYSTEM_CLOCK

PIECE: Final = 16 * 1024
"""Bytes that are written between two looks at the clock."""


class _Exchange(threading.local):
    """When the exchange that this thread is busy with must be over."""

    ends: float | None = None


_exchange = _Exchange()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give everything that this thread does over a `Transport` inside the block so many seconds, together."""
    before, _exchange.ends = _exchange.ends, SYSTEM_CLOCK.monotonic() + seconds
    try:
        yield
    finally:
        _exchange.ends = before


def is_over() -> bool:
    """Whether this thread's exchange has used up its time."""
    return _exchange.ends is not None and SYSTEM_CLOCK.monotonic() >= _exchange.ends


def _left(timeout: float | None, late: Callable[[str], Exception]) -> float | None:
    """Give the shorter of the library's timeout and what is left. Raises `late` if nothing is."""
    if _exchange.ends is None:
        return timeout
    left = _exchange.ends - SYSTEM_CLOCK.monotonic()
    if left <= 0:
        raise late("the exchange took too long")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore2.NetworkStream):
    """A connection. It is reused, so its deadline is the exchange's and not its own."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), PIECE):
            self._stream.write(buffer[start : start + PIECE], _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore2.SyncBackend):
    """Connects to one address of a host after the other, all within what is left."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        refused: httpcore2.ConnectError | None = None
        # SECURITY: whoever owns the name decides how many addresses it has; left to the library, each has its timeout.
        for address in _addresses(host, port):
            left = _left(timeout, httpcore2.ConnectTimeout)
            try:
                return _Stream(super().connect_tcp(address, port, left, local_address, socket_options))
            except httpcore2.ConnectError as error:
                refused = error
        raise refused or httpcore2.ConnectError("the host name has no address")


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Transport(httpx2.HTTPTransport):
    """HTTP/1.1 whose connections heed `within`, straight to the host or through one proxy."""

    def __init__(self, trust: ssl.SSLContext, limits: httpx2.Limits, proxy: str | None = None) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trust,
            proxy=None if proxy is None else httpcore2.Proxy(proxy),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Network(),
        )
