"""Snapshots of an OpenBao's raft storage, taken from a running one and put into one that was just made.

A snapshot holds what is encrypted, with the keys that its seal opens: an OpenBao with the same seal key can take it.
"""

from typing import Final

import httpx2

from runpass.errors import ConfigurationError
from runpass.secret import Secret
from runpass.vault.client import VaultClient

SECONDS: Final = 120.0
_PATH: Final = "/v1/sys/storage/raft/snapshot"


def take_snapshot(address: str, token: Secret) -> bytes:
    """Give a snapshot of a running OpenBao. The token must be allowed to read `sys/storage/raft/snapshot`."""
    return _asked("GET", f"{address}{_PATH}", token, b"").content


def put_snapshot(address: str, token: Secret, snapshot: bytes) -> None:
    """Replace everything in a running OpenBao, tokens included, with a snapshot of one that has the same seal key."""
    _asked("POST", f"{address}{_PATH}-force", token, snapshot)


def logged_in(client: VaultClient, user: str, password: Secret) -> Secret:
    """Give a token of the operator."""
    return Secret(str(client.write(f"auth/userpass/login/{user}", {"password": password}).auth["client_token"]))


def _asked(method: str, url: str, token: Secret, content: bytes) -> httpx2.Response:
    headers = {"X-Vault-Token": token.reveal(), "X-Vault-Request": "true"}
    try:
        answer = httpx2.request(method, url, headers=headers, content=content, timeout=SECONDS, trust_env=False)
    except httpx2.HTTPError as error:
        raise ConfigurationError(f"OpenBao did not answer about its snapshot ({type(error).__name__})") from None
    if not answer.is_success:
        raise ConfigurationError(f"OpenBao refused the snapshot with status {answer.status_code}")
    return answer
