"""Made-up and spoiled tokens, headers and requests for the doors that take tokens, from one seed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

FORM = "application/x-www-form-urlencoded"
ALGORITHMS = ("none", "None", "", "HS256", "RS256", "ES256", "EdDSA", "PS256", "A" * 300, None, 7, ["RS256"], {})
ODD = (None, True, 0, -1, 1e308, 2**70, "", "x", "\x00", "\ud83d\ude00", [], {}, [[[]]], "9" * 4_000)
LETTERS = 'abcXYZ019-_.=+/%& \t\n\x00\x7f\u00e9\u2028{}[]":,'


def encoded(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@dataclass(frozen=True)
class Request:
    """One request to a door."""

    method: str
    path: str
    headers: Mapping[str, bytes]
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spoiler:
    """Spoils a token that is right, in one of many ways."""

    random: Random
    token: str
    public_pem: str

    def spoiled(self) -> str:
        ways: tuple[Callable[[], str], ...] = (
            self._flipped,
            self._cut,
            self._reordered,
            self._other_header,
            self._other_claims,
            self._public_key_as_secret,
            self._respelled,
            self.noise,
            self._nested,
        )
        found = self.random.choice(ways)()
        return found if found != self.token else self.spoiled()

    @property
    def _parts(self) -> list[str]:
        return self.token.split(".")

    def _flipped(self) -> str:
        letters = list(self.token)
        for _ in range(self.random.choice((1, 1, 1, 2, 20))):
            letters[self.random.randrange(len(letters))] = self.random.choice(LETTERS)
        return "".join(letters)

    def _cut(self) -> str:
        start, end = sorted(self.random.randrange(len(self.token) + 1) for _ in range(2))
        return self.random.choice((self.token[:start], self.token[end:], self.token[start:end], self.token[:-1]))

    def _reordered(self) -> str:
        return ".".join(self.random.choice([*self._parts, ""]) for _ in range(self.random.randrange(1, 7)))

    def _other_header(self) -> str:
        header = decoded(self._parts[0])
        for _ in range(self.random.randrange(1, 3)):
            name = self.random.choice(("alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "zip", "cty"))
            header[name] = self.random.choice((*ALGORITHMS, *ODD, ["b64"], "http://127.0.0.1/"))
        return ".".join([encoded(header), *self._parts[1:]])

    def _other_claims(self) -> str:
        claims = decoded(self._parts[1])
        name = self.random.choice([*claims, "nbf", "new"])
        claims[name] = self.random.choice(ODD)
        return ".".join([self._parts[0], encoded(claims), self._parts[2]])

    def _public_key_as_secret(self) -> str:
        header = encoded({**decoded(self._parts[0]), "alg": self.random.choice(("HS256", "none"))})
        signed = f"{header}.{self._parts[1]}"
        signature = hmac.new(self.public_pem.encode(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{self.random.choice((encoded(signature), ''))}"

    def _respelled(self) -> str:
        """The same bytes in another spelling: a token has one."""
        ways = (
            self.token + "=",
            self.token + "\n",
            " " + self.token,
            self.token.replace(".", "..", 1),
            ".".join(f"{part}=" for part in self._parts),
            f"Bearer {self.token}",
            self.token.swapcase(),
            ".".join([encoded(json.dumps(decoded(self._parts[0]), indent=1).encode()), *self._parts[1:]]),
        )
        return self.random.choice(ways)

    def noise(self) -> str:
        """Give any text."""
        (length,) = self.random.choices((0, 1, 2, 3, 40, 400, 20_000), (20, 20, 20, 20, 20, 20, 1))
        return "".join(self.random.choices(LETTERS, k=length))

    def _nested(self) -> str:
        deep = self.random.choice((b"[" * 9_000, b'{"a":' * 1_500, b"\xff\xfe", b"\xef\xbb\xbf{}", b"null", b"NaN"))
        parts = [encoded(deep), self._parts[1], self._parts[2]]
        self.random.shuffle(parts)
        return ".".join(parts)


@dataclass(frozen=True)
class Asker:
    """Makes requests that must not be accepted."""

    random: Random
    spoiler: Spoiler
    client: bytes
    """The `Authorization` of a relying party."""
    bearer: bytes
    """That of the job whose lease is asked about."""
    lease: str

    def introspection(self) -> Request:
        """A right client with a spoiled token or body, or a spoiled client with the right token."""
        headers = {"Content-Type": FORM.encode(), "Authorization": self.client}
        token = self.spoiler.token
        if self.random.random() < 0.2:
            headers["Authorization"] = self._spoiled_header(self.client)
        elif self.random.random() < 0.2:
            headers["Content-Type"] = self.random.choice(
                (b"application/json", b"", b"text/plain", b"\xff", b"multipart/form-data")
            )
        else:
            token = self.spoiler.spoiled()
        return Request("POST", "/introspect", headers, self._body(token))

    def identity(self) -> Request:
        """A spoiled bearer or lease, with any audience."""
        lease, authorization = self.lease, self.bearer
        if self.random.random() < 0.5:
            lease = self.random.choice(
                ("x", "", "%00", "..", "0" * 36, lease[:-1], lease + "0", lease[::-1], "9" * 3_000)
            )
        else:
            authorization = self._spoiled_header(self.bearer)
        audience = self.spoiler.noise()[:2_000]
        return Request("GET", f"/id-token/v1/{lease}", {"Authorization": authorization}, query={"audience": audience})

    def _body(self, token: str) -> bytes:
        text = token.encode("utf-8", "surrogatepass")
        quoted = b"".join(b"%%%02X" % byte for byte in text)
        plain = b"token=" + text
        right = b"token=" + quoted
        return self.random.choice(
            (right, right, right, right + b"&" + right, plain + b"&token=", b"token=" + quoted[:-1])
        )

    def _spoiled_header(self, value: bytes) -> bytes:
        scheme, _, rest = value.partition(b" ")
        cut = self.random.randrange(len(rest))
        return self.random.choice(
            (
                b"",
                scheme,
                scheme + b" ",
                rest,
                b"Digest " + rest,
                scheme + b" " + rest[:cut],
                scheme + b" " + rest[:cut] + b"A" + rest[cut:],
                scheme + b" \xff\xfe" + rest[cut:],
                scheme + b" " + base64.b64encode(b"\xff:\x00"),
                scheme + b" " + base64.b64encode(b"%ff%zz:" + rest),
                scheme + b" " + self.spoiler.token.encode(),
                b"Bearer " + self.spoiler.token.encode(),
                b"A" * 20_000,
            )
        )
