"""A login to compare, made of plain data, so that one that disagrees can be printed and tried again; and its token."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://issuer.example.com/"
AUDIENCE = "vault.example.com"


@dataclass
class Login:
    """One login: which mount, how its role is written, and the token."""

    mount: str
    role: dict[str, Any]
    claims: dict[str, Any]
    key: str = "RS256"
    header: dict[str, Any] = field(default_factory=dict)
    mangle: str = ""
    role_name: str | None = None

    def __str__(self) -> str:
        return json.dumps(self.__dict__, ensure_ascii=True)


class Keys:
    """An issuer's keys, one of each kind, and a stranger's."""

    def __init__(self) -> None:
        self.private: dict[str, Any] = {
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "ES384": ec.generate_private_key(ec.SECP384R1()),
            "ES512": ec.generate_private_key(ec.SECP521R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }
        self.stranger = ec.generate_private_key(ec.SECP256R1())
        self.jwks_document = self.jwks()

    def jwks(self) -> dict[str, Any]:
        found = []
        for name, key in self.private.items():
            algorithm = jwt.get_algorithm_by_name(name)
            public = algorithm.to_jwk(key.public_key(), as_dict=True)
            found.append({**public, "kid": name, "use": "sig", "alg": name})
        return {"keys": found}

    def pems(self) -> list[str]:
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return [key.public_key().public_bytes(*form).decode() for key in self.private.values()]

    def signed(self, name: str, header: Mapping[str, Any], payload: bytes, *, alg: Any = None) -> str:
        """Give a token of any header, signed with the key of this name; with its own algorithm where `alg` is none."""
        key = self.stranger if name == "stranger" else self.private[name]
        own = "ES256" if name == "stranger" else name
        fits = isinstance(alg, str) and alg[:2] in {"RS", "PS"} and own == "RS256"
        signing_input = f"{_part(json.dumps(header).encode())}.{_part(payload)}"
        signature = jwt.get_algorithm_by_name(alg if fits else own).sign(signing_input.encode(), key)
        return f"{signing_input}.{_part(signature)}"

    def sign(self, login: Login) -> str:
        """Give the token of a login."""
        key, algorithm = self.private.get(login.key, self.stranger), login.key
        if login.key == "stranger":
            algorithm = "ES256"
        if algorithm.startswith(("RS", "PS")):
            key = self.private["RS256"]
        header = {"alg": algorithm, "kid": "RS256" if algorithm[:2] in {"RS", "PS"} else algorithm, "typ": "JWT"}
        header = {name: value for name, value in {**header, **login.header}.items() if value != "__absent__"}
        payload = login.mangle if login.mangle.startswith("payload:") else ""
        body = (
            payload.removeprefix("payload:")
            if payload
            else json.dumps(login.claims, ensure_ascii=len(login.claims) % 2 == 0)
        )
        signing_input = f"{_part(json.dumps(header).encode())}.{_part(body.encode('utf-8', 'surrogatepass'))}"
        signature = jwt.get_algorithm_by_name(algorithm).sign(signing_input.encode(), key)
        return _mangled(f"{signing_input}.{_part(signature)}", login.mangle)


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _next(letter: str) -> str:
    """Give a letter of base64 that differs in its last bit: behind a part of no whole bytes it says nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(letter) ^ 1]


HEADERS = {
    "header array": b"[1]",
    "header text": b"hello",
    "header empty": b"{}",
    "header null": b"null",
    "header twice": b'{"alg": "none", "alg": "RS256"}',
    "header case": b'{"ALG": "RS256", "Kid": "x"}',
    "header broken": b'{"alg": RS256}',
    "header cut": b'{"alg": "RS2',
    "header bytes": b"\xc3(",
    "header number": b'{"alg": "RS256", "x": 1e999}',
}


def _mangled(token: str, how: str) -> str:
    head, body, signature = token.split(".")
    if how in HEADERS:
        return f"{_part(HEADERS[how])}.{body}.{signature}"
    return {
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.x",
        "padded": f"{head}=.{body}.{signature}",
        "short": f"{head[: len(head) // 4 * 4 + 1]}.{body}.{signature}"
        if len(head) % 4 == 0
        else f"A.{body}.{signature}",
        "odd letter": f"{head}.{body[:3]}+{body[4:]}.{signature}",
        "bearer": f"Bearer {token}",
        "spaces": f"  {token}\n",
        "inner space": f"{head}. {body}.{signature}",
        "loose bits": f"{head}.{body[:-1]}{_next(body[-1:]) if len(body) % 4 else body[-1:]}.{signature}",
        "no header": f".{body}.{signature}",
        "tampered": f"{head}.{_part(b'{}')}.{signature}",
        "cut signature": f"{head}.{body}.{signature[:-8]}",
        "no signature": f"{head}.{body}.",
        "garbage": "x",
        "JSON": json.dumps({"protected": head, "payload": body, "signature": signature}),
        "JSON of one": json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        "JSON without payload": json.dumps({"jwt": token}),
    }.get(how, token)


CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "jwks": {"bound_issuer": ISSUER},
    "unbound issuer": {},
    "two algorithms": {"bound_issuer": ISSUER, "jwt_supported_algs": ["RS256", "ES256"]},
}
"""Mounts that fetch their keys. Others have pushed keys, no config, or no issuer to ask."""
