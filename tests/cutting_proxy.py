"""A TCP proxy on the loopback interface whose connections can be cut, and held when certain bytes pass."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 65_536
HOLD_SECONDS = 5.0


class CuttingProxy:
    """`cut` ends every connection; `hold(words)` stops the next one that sends these bytes, before they pass on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._words = b""
        self.held = threading.Event()
        """Somebody has sent the bytes and waits."""
        self._go_on = threading.Event()

    def cut(self) -> int:
        """End every connection and give how many there were."""
        with self._lock:
            victims, self._open = self._open, set()
        for victim in victims:
            with contextlib.suppress(OSError):
                victim.shutdown(socket.SHUT_RDWR)
        return len(victims) // 2

    def hold(self, words: bytes) -> None:
        self.held.clear()
        self._go_on.clear()
        self._words = words

    def let_go(self) -> None:
        self._words = b""
        self._go_on.set()

    def serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def close(self) -> None:
        self.let_go()
        self._listener.close()
        self.cut()

    def _carry(self, near: socket.socket) -> None:
        with near:
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                return
            with far, contextlib.suppress(OSError):
                with self._lock:
                    self._open |= {near, far}
                self._pump(near, far)
            with self._lock:
                self._open -= {near, far}

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            ready, _, _ = select.select([near, far], [], [], 60)
            for side in ready:
                data = side.recv(CHUNK)
                if not data:
                    return
                if side is near and self._words and self._words in data:
                    self.held.set()
                    self._go_on.wait(HOLD_SECONDS)
                (far if side is near else near).sendall(data)


@contextmanager
def cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """Serve a proxy in front of this port."""
    proxy = CuttingProxy(target)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
