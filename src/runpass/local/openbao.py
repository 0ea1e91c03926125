"""A real OpenBao as a child process: `DevOpenBao` to throw away, `RaftOpenBao` for keeps."""

import re
import shutil
import socket
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final, Self

from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ConfigurationError
from runpass.local.child import ChildProcess
from runpass.local.openbao_binary import find_binary, install_tool
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import VaultFailure

__all__ = ["DevOpenBao", "OpenBao", "find_binary", "free_port", "install_tool"]

START_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
ATTEMPTS: Final = 3
"""How often a free port is tried: between finding it and listening on it, somebody else may have taken it."""

_ROOT_TOKEN: Final = re.compile(r"^Root Token: (\S+)$")
_SECRET_LINES: Final = ("Root Token:", "Unseal Key:", "Recovery Key")
_HEALTH_ANSWERS: Final = frozenset({429, 472, 473, 501, 503})


def free_port() -> int:
    """Give a TCP port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class OpenBao:
    """What both kinds share: a context manager around the process, an address, and the wait until it is ready."""

    def __init__(self, port: int) -> None:
        self._wanted_port = port
        self._child: ChildProcess | None = None
        self._listens = False
        self.port = 0

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._child is None or self._child.has_ended else self._child.pid

    def client(self, token: Secret | None = None, *, namespace: str = "") -> VaultClient:
        """Give a new client; whoever asks closes it."""
        return VaultClient(self.address, namespace=namespace, token=token)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready; raises `ConfigurationError` that quotes the end of its output."""
        for attempt in range(1, ATTEMPTS + 1):
            self.port = self._wanted_port or free_port()
            try:
                self._start_once()
            except BaseException as error:
                lines = self._child.last_lines if self._child else ()
                self.stop()
                taken = any("address already in use" in line for line in lines)
                if taken and not self._wanted_port and attempt < ATTEMPTS and isinstance(error, ConfigurationError):
                    continue
                raise
            return

    def stop(self) -> None:
        """Stop it; calling it again changes nothing."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _start_once(self) -> None:
        raise NotImplementedError

    def _launch(self, arguments: Sequence[str], home: Path) -> None:
        self._listens = False
        self._child = ChildProcess([str(find_binary()), *arguments], home=home, on_line=self._read_line)

    def _read_line(self, line: str) -> str | None:
        """See a line of the output, and give it unless a token or a key stands in it."""
        if "OpenBao server started!" in line:
            self._listens = True
        return None if line.lstrip().startswith(_SECRET_LINES) else line

    def _wait_until(self, is_ready: Callable[[VaultClient], bool], what: str) -> None:
        """Poll until ready, the child has ended, or the time is over."""
        deadline = SYSTEM_CLOCK.monotonic() + START_SECONDS
        pause = Event()
        with VaultClient(self.address, timeout=2.0) as client:
            while not self._asked(is_ready, client):
                if self._child is None or self._child.has_ended:
                    raise self._failed(f"OpenBao ended before {what}")
                if SYSTEM_CLOCK.monotonic() > deadline:
                    raise self._failed(f"OpenBao did not get so far within {START_SECONDS:.0f} s: {what}")
                pause.wait(POLL_SECONDS)

    def _asked(self, is_ready: Callable[[VaultClient], bool], client: VaultClient) -> bool:
        # SECURITY: until ours says that it listens, whoever answers on this port may be somebody else.
        try:
            return self._listens and is_unsealed(client) and is_ready(client)
        except VaultFailure:
            return False

    def _failed(self, message: str) -> ConfigurationError:
        lines = [] if self._child is None else [line for line in self._child.last_lines if _tells_why(line)]
        return ConfigurationError(message, hint="\n".join(["The end of its output:", *lines[-5:]]) if lines else None)


def _tells_why(line: str) -> bool:
    return any(word in line.lower() for word in ("error", "fail", "warn", "in use", "denied"))


def is_unsealed(client: VaultClient) -> bool:
    """Whether the Vault answers, is initialised and unsealed."""
    answer = client.read("sys/health", accept=_HEALTH_ANSWERS)
    return answer.body.get("initialized") is True and answer.body.get("sealed") is False


class DevOpenBao(OpenBao):
    """OpenBao's dev server: in memory, unsealed, KV version 2 at `secret/`, gone when it is stopped.

    The root token is read from its output; it never stands in an argument list or a file.
    """

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port)
        self._root_token: Secret | None = None
        self._forget_home: Callable[[], object] = lambda: None

    @property
    def root_token(self) -> Secret:
        """The root token; raises `ConfigurationError` while it does not run."""
        if self._root_token is None:
            raise ConfigurationError("the dev OpenBao does not run")
        return self._root_token

    def root(self, *, namespace: str = "") -> VaultClient:
        """Give a new client with the root token; whoever asks closes it."""
        return self.client(self.root_token, namespace=namespace)

    def stop(self) -> None:
        """Stop it and forget everything; calling it again changes nothing."""
        super().stop()
        self._root_token = None
        self._forget_home()

    def _start_once(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="runpass-openbao-"))
        self._forget_home = weakref.finalize(self, shutil.rmtree, home, ignore_errors=True)
        listen = f"-dev-listen-address=127.0.0.1:{self.port}"
        self._launch(["server", "-dev", "-dev-no-store-token", listen], home)
        self._wait_until(lambda _client: self._root_token is not None, "it was unsealed and had told its root token")

    def _read_line(self, line: str) -> str | None:
        if found := _ROOT_TOKEN.match(line):
            self._root_token = Secret(found[1])
        return super()._read_line(line)
