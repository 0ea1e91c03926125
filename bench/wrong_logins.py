"""Many wrong logins at once: `python -m bench.wrong_logins URL COUNT ADDRESS` sends them when a line arrives.

A process of its own, so that sending them does not slow down the caller whose requests are measured.
"""

import base64
import socket
import subprocess
import sys
from contextlib import ExitStack
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit


class WrongLogins:
    """A burst that is ready, then under way, then over. Each comes from a loopback address of its own."""

    def __init__(self, url: str, count: int, number: int) -> None:
        command = [sys.executable, "-m", "bench.wrong_logins", url, str(count), f"127.0.1.{number}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._over = Event()

    def __enter__(self) -> Self:
        if self._process.stdout is None or self._process.stdout.readline().strip() != "ready":
            raise SystemExit("the wrong logins could not be prepared")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        if self._process.returncode:
            raise SystemExit("the wrong logins failed")

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def start(self) -> None:
        if self._process.stdin is None:
            raise SystemExit("the wrong logins cannot be started")
        self._process.stdin.write("now\n")
        self._process.stdin.flush()
        Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.readline()
        self._over.set()


def burst(url: str, count: int, address: str) -> None:
    """Connect first, then send everything within milliseconds, then read the answers."""
    to = urlsplit(url)
    with ExitStack() as stack:
        where = (to.hostname or "", to.port or 80)
        connections = [
            stack.enter_context(socket.create_connection(where, timeout=60, source_address=(address, 0)))
            for _ in range(count)
        ]
        print("ready", flush=True)
        sys.stdin.readline()
        for number, connection in enumerate(connections):
            login = base64.b64encode(f"rpk_{number:016x}:wrong".encode()).decode()
            lines = ("GET /api/organizations HTTP/1.1", f"Host: {to.netloc}", f"Authorization: Basic {login}", "", "")
            connection.sendall("\r\n".join(lines).encode())
        answers = {connection.recv(65_536).split(b" ", 2)[1] for connection in connections}
        print("over", flush=True)
    if not answers <= {b"401", b"429"}:
        raise SystemExit(f"a wrong login was answered with one of {answers}")


if __name__ == "__main__":
    burst(sys.argv[1], int(sys.argv[2]), sys.argv[3])
