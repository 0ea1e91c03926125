"""A real OpenBao beside the explanation of each login, and the row of the table of checks that a refusal belongs to."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from explain_logins import CONFIGS, Keys, Login
from runpass.local.openbao import DevOpenBao, free_port
from runpass.secret import Secret
from runpass.vault.explain import Explanation, LoginCase, explain
from throwaway_issuer import throwaway_issuer

ROWS = {
    7: "error configuring token validator",
    8: "malformed jwt",
    9: "failed to verify id token signature",
    10: "ambiguous claim",
    11: "invalid algorithm (alg) header parameter",
    12: ("cannot unmarshal", "to unmarshal"),
    13: "invalid issuer (iss) claim",
    14: "invalid subject (sub) claim",
    15: "invalid audience (aud) claim",
    16: "no issued at (iat)",
    17: ("(nbf) claim: token", "(exp) claim: token", "(iat) claim: token"),
    18: "no audiences bound to the role",
    19: ("not found in token", "could not be converted to string", "missing name in alias"),
    20: "error converting claim",
    21: ("failed to fetch groups", "in groups claim could not", "converted to string list"),
    22: "error validating claims",
    23: "failed to template policy",
    24: "cannot create root tokens",
}
"""Phrases of the refusals, in the order in which the auth method checks."""


def row_of(error: str) -> int | None:
    """Give the row of the table that a refusal belongs to."""
    order = (7, 10, 8, 11, 12, 21, *range(13, 21), 22, 23, 24, 9)
    for row in order:
        phrases = ROWS[row] if isinstance(ROWS[row], tuple) else (ROWS[row],)
        if any(phrase in error for phrase in phrases):
            return row
    return None


@dataclass(frozen=True)
class Outcome:
    """What OpenBao did."""

    status: int
    error: str | None


@dataclass
class Comparison:
    """A server with a mount for each config, and its issuer."""

    keys: Keys
    configs: dict[str, dict[str, Any] | None]
    fetch_errors: dict[str, str]
    _connection: http.client.HTTPConnection
    _token: str

    def compare(
        self, login: Login, name: str, *, before: dict[str, Any] | None = None
    ) -> tuple[Outcome, Explanation] | None:
        """Log in and explain; None where OpenBao does not even accept the role. `before` is written first."""
        role = None
        path = f"auth/{_path(login.mount)}/role/{name}"
        if before is not None:
            self._ask("POST", path, before)
        status, _ = self._ask("POST", path, login.role)
        if status >= 400:
            return None
        _, body = self._ask("GET", path)
        role = body["data"]
        asked = name if login.role_name is None else login.role_name
        token = self.keys.sign(login)
        status, body = self._ask(
            "POST", f"auth/{_path(login.mount)}/login", {"role": asked, "jwt": token}, anonymous=True
        )
        errors = body.get("errors") or []
        self._ask("DELETE", path)
        explained = explain(
            LoginCase(
                role_name=asked,
                role=role if login.role_name is None else None,
                config=self.configs[login.mount],
                jwks=self.keys.jwks_document,
                token=Secret(token),
                at=time.time(),
                mount=_path(login.mount),
                fetch_error=self.fetch_errors.get(login.mount, ""),
            )
        )
        return Outcome(status, errors[0] if errors else None), explained

    def _ask(self, method: str, path: str, data: Any = None, *, anonymous: bool = False) -> tuple[int, Any]:
        headers = {} if anonymous else {"X-Vault-Token": self._token}
        content = None if data is None else json.dumps(data).encode()
        self._connection.request(method, f"/v1/{path}", body=content, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else {}


def _path(mount: str) -> str:
    return mount.replace(" ", "-")


@contextmanager
def comparison(openbao: DevOpenBao) -> Iterator[Comparison]:
    """Give the server with its mounts; they are gone afterwards."""
    keys, closed = Keys(), f"http://127.0.0.1:{free_port()}"
    with throwaway_issuer() as issuer, openbao.root() as operator:
        issuer.body = json.dumps(keys.jwks_document).encode()
        configs: dict[str, dict[str, Any]] = {
            name: {**config, "jwks_url": issuer.jwks_url} for name, config in CONFIGS.items()
        }
        configs["static"] = {"jwt_validation_pubkeys": keys.pems(), "bound_issuer": "https://issuer.example.com/"}
        configs["broken discovery"] = {"oidc_discovery_url": closed, "skip_jwks_validation": True}
        read: dict[str, dict[str, Any] | None] = {"unconfigured": None}
        for name in (*configs, "unconfigured"):
            operator.write(f"sys/auth/{_path(name)}", {"type": "jwt"})
        for name, config in configs.items():
            operator.write(f"auth/{_path(name)}/config", config)
            read[name] = dict(operator.read(f"auth/{_path(name)}/config").data)
        address = closed.removeprefix("http://")
        refused = f'Get "{closed}/.well-known/openid-configuration": dial tcp {address}: connect: connection refused'
        host, _, port = openbao.address.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            yield Comparison(keys, read, {"broken discovery": refused}, connection, openbao.root_token.reveal())
        finally:
            connection.close()
            for name in (*configs, "unconfigured"):
                operator.delete(f"sys/auth/{_path(name)}")
