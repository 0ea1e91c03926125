"""`RaftOpenBao`: an OpenBao that keeps its data, unseals itself and sets itself up the first time it starts.

Its seal key lies in a file, best kept apart from the data: whoever reads both reads everything.
The first start runs the `initialize` stanza; the root token of that moment is revoked by OpenBao itself
and never shown, so what comes after needs a login that the stanza made.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from runpass.errors import ConfigurationError
from runpass.local.openbao import OpenBao
from runpass.private_files import replace_private
from runpass.secret import Secret
from runpass.vault.client import VaultClient

SEAL_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class FromFile:
    """A value of an initial request that OpenBao reads from a file itself, so that no config holds it."""

    path: Path


@dataclass(frozen=True, slots=True)
class InitialRequest:
    """One request of the first start; `name` is unique and only for OpenBao's own messages."""

    name: str
    path: str
    data: Mapping[str, Any]
    operation: Literal["update", "create", "delete"] = "update"


class RaftOpenBao(OpenBao):
    """OpenBao with raft storage below `directory`; `port` 0 picks a free one at each start.

    `seal_key` is the file with the key that unseals it, made if it is not there; by default in `directory`.

    `is_set_up` tells when the first start's requests are done: best a login with what the last of them made
    (`userpass_works`). Without it, being unsealed is enough.
    """

    def __init__(
        self,
        directory: Path,
        *,
        seal_key: Path | None = None,
        port: int = 0,
        initialize: Sequence[InitialRequest] = (),
        is_set_up: Callable[[VaultClient], bool] | None = None,
    ) -> None:
        super().__init__(port)
        self.directory = directory
        self._seal_key = seal_key or directory / "seal.key"
        self._initialize = tuple(initialize)
        self._is_set_up = is_set_up or (lambda _client: True)

    @property
    def _data(self) -> Path:
        return self.directory / "raft"

    def _start_once(self) -> None:
        for directory in (self.directory, self._data):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        self._ensure_seal_key()
        config = self.directory / "openbao.json"
        replace_private(config, json.dumps(self._config(), indent=2).encode())
        self._launch(["server", f"-config={config.resolve()}"], self.directory)
        self._wait_until(self._is_set_up, "it was unsealed and set up")

    def _ensure_seal_key(self) -> None:
        if self._seal_key.exists():
            return
        if any(self._data.iterdir()):
            raise ConfigurationError(
                f"{self._data} holds data, but its seal key {self._seal_key} is missing",
                hint="Restore the key; without it nobody can read the data. To begin anew, remove the directory.",
            )
        replace_private(self._seal_key, secrets.token_bytes(SEAL_KEY_BYTES))

    def _config(self) -> dict[str, Any]:
        """Give OpenBao's configuration; the stanza for the first start does nothing at later ones."""
        requests = [
            {request.name: {"operation": request.operation, "path": request.path, "data": _evaluated(request.data)}}
            for request in self._initialize
        ]
        raft = {"path": str(self._data.resolve()), "node_id": "runpass", "performance_multiplier": "1"}
        seal = {"current_key_id": "1", "current_key": self._seal_key.resolve().as_uri()}
        return {
            "listener": [{"tcp": {"address": f"127.0.0.1:{self.port}", "tls_disable": True}}],
            "storage": [{"raft": raft}],
            "seal": [{"static": seal}],
            "api_addr": self.address,
            "cluster_addr": f"https://127.0.0.1:{self.port + 1}",
            "ui": False,
            **({"initialize": [{"setup": {"request": requests}}]} if requests else {}),
        }


def userpass_works(user: str, password: Secret, *, mount: str = "userpass") -> Callable[[VaultClient], bool]:
    """Give a test for `is_set_up`: whether this user can log in. The token it costs is revoked at once."""

    def works(client: VaultClient) -> bool:
        answer = client.write(f"auth/{mount}/login/{user}", {"password": password})
        client.with_token(Secret(str(answer.auth["client_token"]))).write("auth/token/revoke-self")
        return True

    return works


def _evaluated(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"eval_type": "string", "eval_source": "file", "path": str(value.path.resolve())}
        if isinstance(value, FromFile)
        else value
        for name, value in data.items()
    }
