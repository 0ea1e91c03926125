"""Checks of the way from the Vault to the issuer, and of what the role thinks of a token whose time is over."""

from collections.abc import Iterator
from typing import Final

from runpass.vault import refusals
from runpass.vault.doctor.examination import Examination, revoke
from runpass.vault.doctor.model import CheckResult, Verdict, result
from runpass.vault.doctor.probes import MAX_WORDS, stranger
from runpass.vault.errors import Unreachable, VaultFailure, visible
from runpass.vault.session import Revocation, VaultSession

NEEDS_RUNNER: Final = "Test the connection from the console: a runner of the project then gets the tokens for it."
UNREADABLE: Final = (
    "The Vault cannot read what jwks_url gives: it must be a JWKS, in which each key is RSA, P-256, P-384, P-521 or "
    "Ed25519; one that the Vault does not know spoils them all."
)
CAUSES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (
        ("no such host", "server misbehaving"),
        "The Vault's machine does not know the issuer's host name: check its DNS.",
    ),
    (("connection refused",), "Nobody answers at the issuer's host and port, as the Vault's machine sees it."),
    (("unknown authority",), "The Vault does not trust the issuer's certificate: set jwks_ca_pem of the config."),
    (
        ("certificate is valid for", "doesn't contain any IP SANs", "not valid for any names"),
        "The issuer's certificate is for another host name than the one in jwks_url.",
    ),
    (("certificate has expired",), "The issuer's certificate is expired, or the Vault's clock is wrong."),
    (("HTTP response to HTTPS",), "The issuer's port does not speak TLS: write jwks_url with http, or another port."),
    (("unsupported key", "failed to decode keys", "invalid character", "unexpected EOF", "unmarshal"), UNREADABLE),
    (("deadline exceeded", "timeout", "Timeout"), "The issuer does not answer the Vault in time: check the firewalls."),
    (("get keys failed: 404",), "There is nothing at jwks_url: check its path."),
    (("get keys failed: 5",), "The issuer, or a proxy before it, answers with an error."),
)


def check_issuer_keys(exam: Examination) -> Iterator[CheckResult]:
    """Whether the Vault itself reaches the issuer and reads its keys: a stranger's login forces it to fetch them."""
    try:
        session = exam.log_in(stranger(exam.clock))
    except refusals.BadSignature as error:
        pinned = "no known key" in (error.vault_error or "")
        seen = "the keys are written into the config" if pinned else "the Vault reaches the issuer and reads its keys"
        yield result("issuer_keys", Verdict.OK, seen)
    except (refusals.JwksUnreachable, refusals.ValidatorNotUsable) as error:
        words = error.vault_error or ""
        advice = next((text for phrases, text in CAUSES if any(item in words for item in phrases)), error.hint or "")
        seen = f"the Vault cannot get the issuer's keys: {visible(words, MAX_WORDS)}"
        yield result("issuer_keys", Verdict.FAILED, seen, advice)
    except Unreachable:
        seen = f"the Vault did not answer this login within {exam.limits.request_seconds:g} s, and others it did"
        yield result(
            "issuer_keys", Verdict.FAILED, seen, "It probably waits for the issuer: check the way to jwks_url."
        )
    except refusals.Refusal as error:
        yield result("issuer_keys", Verdict.UNKNOWN, f"{error.message} ({error.vault_error or ''})", error.hint or "")
    else:
        end = end_at_once(session)
        yield result(
            "issuer_keys", Verdict.FAILED, f"the Vault let a stranger in; {end}", "Take this role away at once."
        )


def check_expired_token(exam: Examination) -> Iterator[CheckResult]:
    """Whether a token that is right in all but its time is refused as expired, and for nothing else.

    The Vault looks at the times after signature, algorithm, issuer, subject and audience.
    """
    if exam.tokens.expired is None:
        yield result("expired_token", Verdict.SKIPPED, "only the control plane can make such a token", NEEDS_RUNNER)
        return
    try:
        session = exam.log_in(exam.tokens.expired)
    except refusals.Expired:
        seen = "refused as expired: signature, algorithm, issuer, subject and audience are right"
        yield result("expired_token", Verdict.OK, seen)
    except refusals.Refusal as error:
        yield refused("expired_token", error)
    else:
        end = end_at_once(session)
        yield result(
            "expired_token",
            Verdict.FAILED,
            f"the role accepts a token that expired in 1970; {end}",
            "Set clock_skew_leeway of the role to 0, which stands for a minute.",
        )


def refused(check: str, error: refusals.Refusal) -> CheckResult:
    """Give the result of a login that the auth method refused."""
    words = f" (Vault said: {visible(error.vault_error, MAX_WORDS)})" if error.vault_error else ""
    return result(check, Verdict.FAILED, f"{error.sentence}{words}", error.hint or error.advice)


def end_at_once(session: VaultSession) -> str:
    """Revoke a token that should not exist, and say what became of it."""
    try:
        end = revoke(session)
    except VaultFailure as error:
        return f"its token could not be revoked ({error.message})"
    return (
        "its token is revoked" if end in {Revocation.REVOKED, Revocation.ALREADY_GONE} else f"its token is {end.value}"
    )
