"""The checks of the token itself: signature, types, issuer, subject, audience, times. In the server's order. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from runpass.vault.explain import jwk, jws, registered
from runpass.vault.explain.claims import REGISTERED, folded
from runpass.vault.explain.facts import Parameters, bind_audience, said, write_config, write_role
from runpass.vault.explain.go_json import NotJson, decode_object
from runpass.vault.explain.go_text import quoted
from runpass.vault.explain.jwk import UnusableKeys
from runpass.vault.explain.jws import Jws, Malformed
from runpass.vault.explain.model import Check, LoginCase
from runpass.vault.explain.registered import Leeways, Registered, Times, WrongType

VALIDATING: Final = "error validating token: "
SIGNATURE: Final = f"{VALIDATING}error verifying token signature: "
NOT_VERIFIED: Final = f"{SIGNATURE}failed to verify id token signature"
NOT_VERIFIED_STATIC: Final = f"{SIGNATURE}no known key successfully validated the token signature"
_LAST_MOMENT: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Opened:
    """A token whose claims could be read; whether they can be trusted is for the check of the signature to say."""

    jws: Jws
    claims: Mapping[str, Any]


def open_token(case: LoginCase) -> tuple[list[Check], Opened | None]:
    """Give the checks of format and signature, and the claims if they can be read at all."""
    config = Parameters(case.config or {})
    pems = config.texts("jwt_validation_pubkeys")
    prefix = SIGNATURE if pems else f"{SIGNATURE}oidc: malformed jwt: "
    shape = "a signed JWT in three parts, with an asymmetric algorithm"
    try:
        parsed = jws.parse(case.token.reveal(), lenient=bool(pems))
    except Malformed as error:
        fix = "Send the token as it was minted: no Bearer before it, no quotes around it, signed with one of these."
        broken = Check(
            name="token format",
            passed=False,
            expected=shape,
            received=said(str(error)),
            fix=fix,
            errors=(f"{prefix}{error}",),
        )
        return [broken], None
    checks = [Check(name="token format", passed=True, expected=shape, received=parsed.algorithm)]
    signature = _static(parsed, pems) if pems else _by_jwks(case, parsed)
    try:
        claims = decode_object(parsed.payload, once=bool(pems))
    except NotJson as error:
        checks.append(signature)
        if signature.passed is not False:
            sentence = NOT_VERIFIED_STATIC if pems else f"{SIGNATURE}{error}"
            fix = "The payload of the token must be a JSON object."
            checks.append(Check(name="payload", passed=False, expected="an object", fix=fix, errors=(sentence,)))
        return checks, None
    return [*checks, signature], Opened(parsed, claims)


def _static(parsed: Jws, pems: list[str]) -> Check:
    return Check(
        name="signature",
        passed=jws.verifies(parsed, jws.static_keys(pems), by_id=False),
        expected=f"made with one of the {len(pems)} keys in jwt_validation_pubkeys",
        received=f"alg {said(parsed.algorithm)}",
        fix="Write the issuer's present public keys to jwt_validation_pubkeys of the config.",
        errors=(NOT_VERIFIED_STATIC,),
    )


def _by_jwks(case: LoginCase, parsed: Jws) -> Check:
    received = f"kid {said(parsed.key_id)}, alg {said(parsed.algorithm)}"
    fix = "Mint the token with a key that the issuer publishes, under the kid that it publishes."
    if case.fetch_error:
        return Check(
            name="signature",
            passed=False,
            received=case.fetch_error,
            fix="Let the server reach the issuer's keys.",
            errors=(f"{SIGNATURE}fetching keys {case.fetch_error}",),
        )
    if case.jwks is None:
        return Check(name="signature", passed=None, expected="one of the issuer's keys", received=received, fix=fix)
    try:
        keys = jwk.keys_of(case.jwks)
    except UnusableKeys as error:
        sentence = (
            f"{SIGNATURE}fetching keys oidc: failed to decode keys: got Content-Type = application/json, but could not"
            f" unmarshal as JSON: {error} {case.jwks_text or json.dumps(case.jwks)}"
        )
        named = f"the key {quoted(error.key_id)}" if error.key_id else "that key"
        fix = f"Take {named} out of the published set ({error}): it keeps the server from reading all others."
        return Check(name="signature", passed=False, received=str(error), fix=fix, errors=(sentence,))
    passed = jws.verifies(parsed, keys)
    ids = [key.key_id for key in keys]
    if not passed and parsed.key_id in ids:
        fix = "The kid is published, and its key did not make this signature: the token was changed or forged."
    expected = f"one of the published keys: {said(ids)}"
    return Check(name="signature", passed=passed, expected=expected, received=received, fix=fix, errors=(NOT_VERIFIED,))


def checks(case: LoginCase, opened: Opened) -> Iterator[Check]:
    """Give the checks of the claims; they end where types make the others meaningless."""
    config, role = Parameters(case.config or {}), Parameters(case.role or {})
    if case.server == "openbao" and case.version >= (2, 7):
        yield _folding(opened.claims)
    yield _algorithm(case, config, opened.jws)
    try:
        found = registered.read(opened.claims)
    except WrongType as error:
        fix = "iss and sub must be texts, aud a text or a list of texts, exp, nbf and iat numbers (RFC 7519)."
        yield Check(
            name="claim types", passed=False, received=said(str(error)), fix=fix, errors=(f"{VALIDATING}{error}",)
        )
        return
    yield Check(name="claim types", passed=True)
    yield _same(
        "issuer",
        config.text("bound_issuer"),
        found.issuer,
        error="invalid issuer (iss) claim",
        fix=write_config(case, bound_issuer=found.issuer),
    )
    yield from subject_and_audience(case, found)
    yield from _times(role, found, case.at)


def subject_and_audience(case: LoginCase, found: Registered) -> Iterator[Check]:
    """Give the two checks of registered claims that are the role's."""
    role = Parameters(case.role or {})
    yield _same(
        "subject",
        role.text("bound_subject"),
        found.subject,
        error="invalid subject (sub) claim",
        fix=write_role(case, bound_subject=found.subject),
    )
    yield _audience(case, role, found)


def _folding(claims: Mapping[str, Any]) -> Check:
    # Several colliding names are told in a random order; each is an answer that may come.
    colliding = [(name, same) for name in claims if name not in REGISTERED and (same := folded(name)) in REGISTERED]
    errors = tuple(
        f"{VALIDATING}ambiguous claim: key {quoted(name)} collides with registered claim {quoted(same)}"
        " under case folding"
        for name, same in colliding
    )
    return Check(
        name="claim names",
        passed=not colliding,
        expected="no name that differs from a registered one in case only",
        received=said([name for name, _ in colliding]),
        fix="Rename this claim at the issuer.",
        errors=errors,
    )


def _algorithm(case: LoginCase, config: Parameters, parsed: Jws) -> Check:
    listed = config.texts("jwt_supported_algs")
    return Check(
        name="algorithm",
        passed=not listed or parsed.algorithm in listed,
        expected=said(listed) if listed else "any of the ten",
        received=parsed.algorithm,
        fix=write_config(case, jwt_supported_algs=[*listed, parsed.algorithm]),
        errors=(f"{VALIDATING}invalid algorithm (alg) header parameter: token signed with unexpected algorithm",),
    )


def _same(name: str, expected: str, received: str, *, error: str, fix: str) -> Check:
    return Check(
        name=name,
        passed=not expected or expected == received,
        expected=said(expected) if expected else "any",
        received=said(received),
        fix=fix,
        errors=(f"{VALIDATING}{error}",),
    )


def _audience(case: LoginCase, role: Parameters, found: Registered) -> Check:
    wanted = role.texts("bound_audiences")
    sentence = "invalid audience (aud) claim: audience claim does not match any expected audience"
    return Check(
        name="audience",
        passed=not wanted or bool(set(wanted) & set(found.audience)),
        expected=said(wanted) if wanted else "any",
        received=said(list(found.audience)),
        fix=bind_audience(case, list(found.audience)),
        errors=(f"{VALIDATING}{sentence}",),
    )


def _times(role: Parameters, found: Registered, now: float) -> Iterator[Check]:
    leeways = Leeways(
        clock_skew=role.number("clock_skew_leeway"),
        expiration=role.number("expiration_leeway"),
        not_before=role.number("not_before_leeway"),
    )
    times = registered.filled(found, leeways)
    yield Check(
        name="time claims",
        passed=times is not None,
        expected="at least one of iat, nbf and exp",
        received="none" if times is None else "there",
        fix="The issuer must write iat, nbf and exp into its tokens.",
        errors=(f"{VALIDATING}no issued at (iat), not before (nbf), or expiration time (exp) claims in token",),
    )
    if times is not None:
        yield from _judged(times, leeways.skew, now)


def _judged(times: Times, skew: int, now: float) -> Iterator[Check]:
    clocks = "Compare the clocks of issuer and server."
    yield Check(
        name="not before",
        passed=now + skew >= times.not_before,
        expected=f"at most {_moment(now + skew)} (now and {skew} s)",
        received=_moment(times.not_before),
        fix=f"{clocks} The leeway is clock_skew_leeway of the role.",
        errors=(f"{VALIDATING}invalid not before (nbf) claim: token not yet valid",),
    )
    yield Check(
        name="expiration",
        passed=now - skew <= times.expiry,
        expected=f"at least {_moment(now - skew)} (now less {skew} s)",
        received=_moment(times.expiry),
        fix=f"Use a token sooner after it was minted. {clocks} expiration_leeway changes nothing where exp is there.",
        errors=(f"{VALIDATING}invalid expiration time (exp) claim: token is expired",),
    )
    yield Check(
        name="issued at",
        passed=now + skew >= times.issued_at,
        expected=f"at most {_moment(now + skew)} (now and {skew} s)",
        received=_moment(times.issued_at),
        fix=clocks,
        errors=(f"{VALIDATING}invalid issued at (iat) claim: token issued in the future",),
    )


def _moment(seconds: float) -> str:
    if not 0 < seconds <= _LAST_MOMENT:
        return f"{int(seconds)}"
    return f"{int(seconds)} ({datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ})"
