"""A load generator that costs little: requests made beforehand, kept-alive connections, one thread, no HTTP library.

Every server is driven by the same one. It counts answers by status and throws the bodies away.
"""

import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

_CHUNK = 65_536
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pressed:
    """What a while of load gave."""

    answers: Counter[int]
    seconds: float
    server_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.answers[200] / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.answers[200] / self.server_cpu_seconds if self.server_cpu_seconds else 0.0


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Give a whole HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


class _Connection:
    """One connection, with one request under way."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._read = b""

    def ask(self) -> None:
        """Send the next request, if there is one."""
        following = next(self._requests, None)
        if following is not None:
            self.socket.sendall(following)

    def status(self) -> int | None:
        """Read what is there; give the status once the answer is whole."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise SystemExit("the server closed a connection")
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or not _is_whole(head.lower(), body):
            return None
        self._read = b""
        return int(head[9:12])


def _is_whole(head: bytes, body: bytes) -> bool:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n") or head[9:12] in {b"204", b"304"}


def press(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    pids: Sequence[int],
    most: int | None = None,
) -> Pressed:
    """Send the requests in turn, round and round, over this many connections; `most` of them and no more."""
    turn = islice(cycle(requests), most)
    lines = [_Connection(port, turn) for _ in range(connections)]
    answers: Counter[int] = Counter()
    with selectors.DefaultSelector() as ready:
        before, began = cpu_seconds(pids), time.perf_counter()
        for line in lines:
            ready.register(line.socket, selectors.EVENT_READ, line)
            line.ask()
        while (now := time.perf_counter()) < began + seconds and answers.total() != most:
            for key, _ in ready.select(timeout=1.0):
                status = key.data.status()
                if status is not None:
                    answers[status] += 1
                    key.data.ask()
        spent = cpu_seconds(pids) - before
    for line in lines:
        line.socket.close()
    return Pressed(answers, now - began, spent)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Give the CPU time that processes and their children, as they are now, have taken so far."""
    return sum(_cpu_of(pid) for pid in family(pids))


def family(pids: Sequence[int]) -> list[int]:
    """Give processes and all that came from them and is alive."""
    found = list(pids)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def resident_kib(pid: int) -> int:
    """Give the memory of a process, in KiB, that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
