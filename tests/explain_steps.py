"""Logins at random from a seed, most of them a few steps off one that is accepted."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from explain_logins import AUDIENCE, HEADERS, ISSUER, Login

TEXTS = ("prod", "dev", "", "größe", "a/b", "team:a/b", "🚀", "tab\there", 'quo"te', "PROD", "prod ", "\u202ereverse")
NUMBERS = (0, 1, 7, -3, 1.5, -0.5, 1e20, 1e21, 123456789012, 2**53 + 1, 1e-7, -1e300)
TRUE = (True,)
ODD = (0, 1, 7, -3, True, False)
NEAR = ([], ["prod", "dev", 1, True], "red", ["y"], 3, [AUDIENCE])
NAMES = ("env", "n", "flag", "list", "mixed", "nested", "nothing", "gone", "aud", "empty", "größe")
POINTERS = (
    "/nested/team",
    "/nested/deep/x/0",
    "/nested/deep/x/7",
    "/nested/n",
    "/nested/a~1b",
    "/nested/m~0n",
    "/list/1",
)
BOUND = (*NAMES, *POINTERS, "/list/-", "/", "/env", "/list/+1", "/list/01", "/gone/x", "/env/x")
PAYLOADS = (
    *(
        "[1]",
        "null",
        "7",
        '"text"',
        "hello",
        "",
        "true",
        "-",
        "NaN",
        "ü",
        '"',
        "  ",
        "tr",
        "1e",
        "{,}",
        "[1,]",
        "[1 2]",
    ),
    *('{"sub": "a", "sub": "b"}', '{"a": 1', "{'a': 1}", '{"a" 1}', '{"a": tru}', '{"a": 01}', '{"a": 1.}', '{"a":1,}'),
    *('{"a": "\\x"}', '{"a": "\\u12g4"}', '{"a": 1} x', '{"a": 1e400}', '{"a": {"b": [1, -1e999]}}', '{"a": NaN}'),
    *('{"a": "x\ty"}', '{"a": -}', '{"a": 1e+}', '{"a": "\\', '{"a": "\\u1', '{"a": nul', '{"a": falsy}', '{"a": [}'),
)
PLAIN = (
    *("two parts", "four parts", "padded", "short", "odd letter", "bearer", "spaces", "inner space", "no header"),
    *("garbage", "loose bits"),
)
Step = Callable[[random.Random, Login, int], None]


def base(chosen: random.Random, now: int) -> Login:
    """Give a login that is accepted."""
    role = {
        "role_type": "jwt",
        "user_claim": "environmentId",
        "bound_audiences": [AUDIENCE],
        "bound_claims_type": "string",
        "bound_claims": {"organizationId": "o-1"},
        "token_policies": ["app"],
        "token_ttl": 60,
    }
    claims = {
        "iss": ISSUER,
        "sub": "org",
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "organizationId": "o-1",
        "environmentId": "e-1",
        "env": chosen.choice(TEXTS),
        "n": chosen.choice(NUMBERS),
        "flag": chosen.choice([True, False]),
        "list": chosen.sample(TEXTS, 2),
        "mixed": ["a", 1, True, None, 1.5],
        "nested": {"team": "red", "deep": {"x": ["y", 2]}, "n": 3.5, "a/b": 1, "m~n": None},
        "groups": ["dev", "", "ops"],
        "nothing": None,
        "empty": "",
    }
    return Login(
        "jwks", role, claims, key=chosen.choice(["RS256", "ES256", "EdDSA", "ES384", "ES512", "PS256", "RS512"])
    )


def _set(name: str, *values: Any) -> Step:
    def step(chosen: random.Random, login: Login, now: int) -> None:
        value = chosen.choice(values)
        if value == "__absent__":
            login.claims.pop(name, None)
        else:
            login.claims[name] = value

    return step


def _role(name: str, *values: Any) -> Step:
    def step(chosen: random.Random, login: Login, now: int) -> None:
        login.role[name] = chosen.choice(values)

    return step


def _bind(chosen: random.Random, login: Login, now: int) -> None:
    """Bind one or two claims, to what they are or to something near it."""
    bound = dict(login.role["bound_claims"] or {})
    for name in chosen.sample(BOUND, chosen.choice([1, 1, 2])):
        own = login.claims.get(name)
        near = [own, [own], str(own), chosen.choice(TEXTS), chosen.choice(ODD), chosen.sample(TEXTS, 3), *NEAR]
        value = chosen.choice([item for item in near if item is not None and not isinstance(item, dict | float)])
        if isinstance(value, list):
            value = [item for item in value if isinstance(item, str | bool | int)]
        bound[name] = value
    login.role["bound_claims"] = bound


def _glob(chosen: random.Random, login: Login, now: int) -> None:
    patterns = (
        "*",
        "p*",
        "*d",
        "p*d",
        "*o*",
        "pr?d",
        "",
        "**",
        "a*/*b",
        "team:*",
        "*ö*e",
        "🚀*",
        "x*",
        "p*r*o*d",
        "prod*prod",
    )
    name = chosen.choice(["env", "list", "n", "flag", "mixed", "nested", "/nested/team", "gone"])
    bound = {key: value for key, value in (login.role["bound_claims"] or {}).items() if _all_text(value)}
    bound[name] = chosen.choice([chosen.choice(patterns), chosen.sample(patterns, 2), "prod", chosen.choice(TEXTS)])
    login.role.update(bound_claims_type="glob", bound_claims=bound)


def _all_text(value: Any) -> bool:
    return all(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))


def _time(chosen: random.Random, login: Login, now: int) -> None:
    """Move, remove or spoil the three times; never within seconds of an edge, where two clocks would decide."""
    skew = chosen.choice([0, 0, -1, 30, 300, 7200])
    login.role["clock_skew_leeway"] = skew
    edge = {0: 60, -1: 0}.get(skew, skew)
    offsets = [
        -edge - 40,
        -edge + 12 if edge > 20 else -1000,
        edge + 40,
        edge - 12 if edge > 20 else 1000,
        3600,
        -3600,
        1e6,
        -1e6,
        1e12,
    ]
    for name in chosen.sample(["iat", "nbf", "exp"], chosen.choice([1, 1, 2, 3])):
        login.claims[name] = now + chosen.choice(offsets) + chosen.choice([0, 0, 0.5])
        if chosen.random() < 0.3:
            login.claims[name] = chosen.choice([0, None, 0.4, 1, -5])
        if chosen.random() < 0.4:
            login.claims.pop(name)
    if chosen.random() < 0.5:
        login.role.update(
            expiration_leeway=chosen.choice([0, -1, 1000, 20]), not_before_leeway=chosen.choice([0, -1, 1000, 20])
        )


def _no_time(chosen: random.Random, login: Login, now: int) -> None:
    for name in ("iat", "nbf", "exp"):
        login.claims[name] = chosen.choice([0, None, 0.2])
        if chosen.random() < 0.6:
            login.claims.pop(name)


def _unbound(chosen: random.Random, login: Login, now: int) -> None:
    login.role["bound_audiences"] = []
    if chosen.random() < 0.3:
        login.claims["aud"] = chosen.choice([[], "", ["a", "b"]])
    if chosen.random() < 0.2:
        login.claims.pop("aud", None)


def _pointer_user(chosen: random.Random, login: Login, now: int) -> None:
    login.role["user_claim"] = chosen.choice(
        ["/nested/team", "/nested/none", "env", "/nested/n", "aud", "/list/0", "n"]
    )
    login.role["user_claim_json_pointer"] = chosen.choice([True, True, False])


def _mapping(chosen: random.Random, login: Login, now: int) -> None:
    good = {"env": "env", "gone": "g", "/nested/team": "team", "sub": "subject", "nothing": "no"}
    login.role["claim_mappings"] = dict(chosen.sample(sorted(good.items()), 2))
    if chosen.random() < 0.7:
        login.role["claim_mappings"][chosen.choice(["n", "list", "flag", "/nested", "aud", "/nested/n", "mixed"])] = (
            "odd"
        )


def _groups(chosen: random.Random, login: Login, now: int) -> None:
    login.role["groups_claim"] = chosen.choice(
        ["groups", "env", "n", "flag", "mixed", "nested", "gone", "/nested/deep/x", "/nested", "nothing", "aud"]
    )
    if chosen.random() < 0.5:
        login.claims["mixed"] = [
            chosen.choice([1e21, 1.5, {"a": 1, "b": [None, 1e-7]}, None, True, 7, [1, "x"], {}, []])
        ]


def _template(chosen: random.Random, login: Login, now: int) -> None:
    login.role["token_policies"] = chosen.sample(
        ["app", "t-{{.env}}", "{{.gone}}", "x-{{ .nope }}-y", "n-{{.n}}", "ö{{.lost}}"], chosen.choice([1, 2])
    )
    login.role["token_policies_template_claims"] = chosen.choice([True, True, True, False])


def _fold(chosen: random.Random, login: Login, now: int) -> None:
    login.claims[
        chosen.choice(
            ["SUB", "Iss", "i\u017fs", "AUD", "eXp", "JTI", "Nbf", "\u017fub", "i\u017fS", "IAT", "subx", "\u0131ss"]
        )
    ] = chosen.choice(["x", 1, None])


def _mangle(chosen: random.Random, login: Login, now: int) -> None:
    login.mangle = chosen.choice([*PLAIN, *HEADERS])


def _sign(chosen: random.Random, login: Login, now: int) -> None:
    login.mangle = chosen.choice(["tampered", "cut signature", "no signature", "", ""])
    if not login.mangle:
        login.key = chosen.choice(["stranger", "RS256", "ES384"])
        login.header = chosen.choice(
            [{"kid": "unknown"}, {"kid": "__absent__"}, {"kid": "ES256"}, {"crit": ["x"], "x": 1}, {"kid": ""}]
        )


def _alg(chosen: random.Random, login: Login, now: int) -> None:
    login.header["alg"] = chosen.choice(
        ["none", "HS256", "XX", "", "Ed25519", "rs256", 5, "__absent__", "RS384", "ES256", "PS512", None]
    )


def _kid(chosen: random.Random, login: Login, now: int) -> None:
    login.header["kid"] = chosen.choice([7, "", "__absent__", True, ["x"], {"a": 1}, None])


def _payload(chosen: random.Random, login: Login, now: int) -> None:
    login.mangle = "payload:" + chosen.choice(PAYLOADS)


def _mount(chosen: random.Random, login: Login, now: int) -> None:
    login.mount = chosen.choice(
        ["unbound issuer", "two algorithms", "static", "static", "unconfigured", "broken discovery"]
    )


def _name(chosen: random.Random, login: Login, now: int) -> None:
    login.role_name = chosen.choice(["nope", "", "Größe", 'quo"te', "NOPE ", "a\tb"])


STEPS: Sequence[tuple[int, Step]] = (
    (8, _bind), (6, _glob), (7, _time), (2, _no_time), (2, _unbound), (3, _pointer_user), (4, _mapping), (4, _groups),
    (4, _template), (3, _fold), (3, _mangle), (3, _sign), (2, _alg), (1, _kid), (1, _payload), (6, _mount), (1, _name),
    (2, _set("iss", "https://issuer.example.com", ISSUER.upper(), "__absent__", "", None)),
    (1, _set("iss", 5, ["x"], {"a": 1}, *TRUE)),
    (1, _set("sub", 5, [], {}, 1e21, *TRUE)),
    (1, _set("jti", 7, [1], "x")),
    (2, _set("aud", 5, {"a": 1}, *TRUE, [1], ["a", None], None)),
    (1, _set("exp", "soon", [1], *TRUE)),
    (1, _set("nbf", "now", {"a": 1}, *TRUE)),
    (2, _set("aud", "__absent__", "", [], [AUDIENCE, "x"], ["x", "y"])),
    (2, _set("aud", AUDIENCE.upper(), f"{AUDIENCE}/", "vault.example.*")),
    (3, _role("bound_subject", "org", "other", "or*", "ORG")),
    (3, _role("user_claim", "gone", "n", "list", "nothing", "empty", "env", "flag", "nested", "größe")),
    (2, _role("user_claim", "empty")),
    (3, _role("token_policies", ["root"], ["Root"], ["app", "ROOT "], [], ["App", "app", "z"])),
    (2, _role("role_type", "oidc")),
    (2, _role("token_no_default_policy", *TRUE)),
    (2, _role("bound_claims", {"organizationId": "o-2"}, {"organizationId": ["o-1", "o-2"]}, {})),
    (2, _role("bound_claims", {"gone": "x", "env": "never"}, {"organizationId": None}, {"n": "7", "flag": "true"})),
    (2, _role("token_type", "batch", "service", "default")),
    (1, _role("token_explicit_max_ttl", 30, 3600)),
)  # fmt: skip


def generate(seed: int, now: int) -> Login:
    """Give the login of a seed: a good one, and up to three steps away from it."""
    chosen = random.Random(seed)  # noqa: S311 -- to be repeated
    login = base(chosen, now)
    weights, steps = zip(*STEPS, strict=True)
    for step in chosen.choices(steps, weights, k=chosen.choice([0, 1, 1, 1, 2, 2, 3])):
        step(chosen, login, now)
    if login.role.get("role_type") == "oidc":
        login.role["allowed_redirect_uris"] = ["https://example.com"]
    return login
