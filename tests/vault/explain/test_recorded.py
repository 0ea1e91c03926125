"""Logins that were recorded at OpenBao 2.7.2, each a question of its own, are explained as they ended."""

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from explain_logins import ISSUER, Keys
from runpass.secret import Secret
from runpass.vault.explain import Explanation, LoginCase, explain

RECORDED = json.loads(Path(__file__).with_name("recorded_logins.json").read_text())
ROLE = "deploy"
WORDS = {"$ISS": ISSUER.rstrip("/"), "$ROLE_UPPER": ROLE.upper(), "$ROLE": ROLE, "$SISS": "https://tls.example.com"}


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


def filled(value: Any, keys: Keys) -> Any:
    """Give a recorded value with the names in it replaced by what they stand for here."""
    match value:
        case dict():
            found = {key: filled(item, keys) for key, item in value.items()}
            return {key: item for key, item in found.items() if item != "__absent__"}
        case list():
            return [filled(item, keys) for item in value]
        case str() if re.fullmatch(r"@-?[0-9]+", value):
            return int(time.time()) + int(value[1:])
        case str() if many := re.fullmatch(r"<([0-9]+) x>", value):
            return "x" * int(many[1])
        case str() if value.startswith("$PEM_"):
            return keys.pems()[list(keys.private).index(value.removeprefix("$PEM_"))]
        case str():
            return re.sub(r"\$[A-Z_]+", lambda found: WORDS.get(found[0], found[0]), value)
        case _:
            return value


def kid(name: str) -> str:
    return f"k-{name.lower()}"


def published(keys: Keys, changes: dict[str, Any]) -> dict[str, Any]:
    found = [{**item, "kid": kid(item["kid"])} for item in keys.jwks_document["keys"]]
    over = changes.get("jwks_over", {})
    found = [{name: value for name, value in {**item, **over}.items() if value is not None} for item in found]
    if changes.get("jwks_dup_kid"):
        found.insert(0, {**found[1], "kid": found[0]["kid"]})
    return {"keys": [*changes.get("jwks_extra", []), *found]}


def token(keys: Keys, jwt: dict[str, Any]) -> str:
    name = jwt.get("sign", "RS256")
    header = {"alg": "ES256" if name == "stranger" else name, "kid": kid("RS256" if name == "stranger" else name)}
    header = {**header, "typ": "JWT", **filled(jwt.get("header", {}), keys)}
    header = {key: value for key, value in header.items() if key not in jwt.get("drop_header", [])}
    claims = filled({**RECORDED["claims"], **jwt.get("claims", {})}, keys)
    body = filled(jwt["payload"], keys) if "payload" in jwt else json.dumps(claims)
    signed = keys.signed(name, header, body.encode(), alg=header.get("alg"))
    head, payload, signature = signed.split(".")
    match jwt.get("mangle"):
        case "space":
            return f" {signed}\n"
        case "pad":
            return f"{head}=.{payload}.{signature}"
        case "tamper":
            return f"{head}.{base64.urlsafe_b64encode(b'{}').decode().rstrip('=')}.{signature}"
        case _:
            return signed


def explained(login: dict[str, Any], keys: Keys) -> Explanation:
    sent = filled({"role": ROLE, "jwt": token(keys, login.get("jwt", {})), **login.get("login", {})}, keys)
    name = str(sent.get("role", ""))
    role = filled({**RECORDED["role"], **login["role"]}, keys)
    config = filled(login["config"], keys)
    known = (name or config.get("default_role", "")).lower() == ROLE
    return explain(
        LoginCase(
            role_name=name,
            role=role if known else None,
            config=config,
            jwks=published(keys, login.get("jwks", {})),
            token=Secret(str(sent.get("jwt", ""))),
            at=time.time(),
        )
    )


@pytest.mark.parametrize("login", RECORDED["logins"], ids=lambda login: login["id"])
def test_a_recorded_login_ends_as_it_is_explained(login: dict[str, Any], keys: Keys):
    found = explained(login, keys)
    wanted = filled(login.get("error"), keys)
    assert (found.status, found.error if found.error == wanted else found.possible_errors) == (login["status"], wanted)
    auth = filled(login.get("auth"), keys)
    if auth:
        assert found.granted is not None
        assert list(found.granted.policies) == (auth["policies"] or [])
        assert dict(found.granted.metadata) == auth["metadata"]
        assert (found.granted.token_type, found.granted.num_uses) == (auth["token_type"], auth["num_uses"])
        assert found.granted.ttl_seconds in {0, auth["lease_duration"]}
        assert found.granted.renewable == auth["renewable"]
