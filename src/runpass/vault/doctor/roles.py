"""Checks of what the role says, for whoever may read it: weak spots, what it expects, and why it refuses."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from runpass.clock import unix_seconds
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.explaining import explain_login
from runpass.vault.doctor.model import CheckResult, Expected, Explained, Verdict, result
from runpass.vault.errors import VaultFailure, visible
from runpass.vault.lint.reading import read_facts
from runpass.vault.lint.rules import lint
from runpass.vault.lint.view import Mount, Role

NOT_READABLE: Final = "nobody here may read the role"
GIVE_TOKEN: Final = "Give an operator's token, or look with runpass vault lint."  # noqa: S105 -- a sentence
MAX_SHOWN: Final = 300


def check_reading(exam: Examination) -> Iterator[CheckResult]:
    """Whether role and config can be read, which explaining needs."""
    for client in exam.readers():
        with suppress(VaultFailure):
            exam.reading = read_facts(client, exam.target.mount, exam.target.role)
            break
    if exam.role is None or exam.reading is None:
        yield result("role_text", Verdict.SKIPPED, NOT_READABLE, GIVE_TOKEN)
        return
    unread = "; ".join(exam.reading.unread)
    yield result("role_text", Verdict.OK, f"the role can be read{f' ({unread})' if unread else ''}")


def check_expectations(exam: Examination) -> Iterator[CheckResult]:
    """Whether role and config expect what the control plane writes into the tokens."""
    expected = exam.knowledge.expected
    if expected is None:
        yield result("expectations", Verdict.SKIPPED, "what the tokens say is not known here")
        return
    compared = tuple(_compared(exam, expected))
    wrong = [item for item in compared if item.passed is False]
    seen = f"{len(compared) - len(wrong)} of {len(compared)} expectations fit the tokens"
    verdict = Verdict.FAILED if wrong else Verdict.OK
    names = ", ".join(item.name for item in wrong)
    next_step = f"Mend {names}; runpass vault setup writes all of it." if wrong else ""
    base = result("expectations", verdict, f"{seen}{f'; not: {names}' if names else ''}", next_step)
    yield CheckResult(base.check, base.verdict, base.seen, base.next_step, compared)


def _compared(exam: Examination, expected: Expected) -> Iterator[Explained]:
    config = None if exam.reading is None else exam.reading.facts.config
    if config is not None:
        mount = Mount(config)
        if mount.text("bound_issuer"):
            yield _equal("bound_issuer", mount.text("bound_issuer"), expected.issuer)
        if mount.text("jwks_url"):
            is_own = mount.text("jwks_url") == expected.own_jwks_url
            yield _equal("jwks_url", mount.text("jwks_url"), (is_own and expected.own_jwks_url) or expected.jwks_url)
    role = Role(exam.role or {}, name=exam.target.role)
    yield _member("bound_audiences", role.texts("bound_audiences"), (expected.audience,))
    for claim, values in expected.claims.items():
        if claim in role.bound:
            yield _member(f"bound_claims.{claim}", tuple(str(item) for item in role.bound[claim]), values)


def _equal(name: str, wanted: str, said: str) -> Explained:
    fix = "" if wanted == said else f"Write {name}={said}, byte for byte."
    return Explained(
        name, wanted == said, visible(wanted, MAX_SHOWN), visible(said, MAX_SHOWN), visible(fix, MAX_SHOWN)
    )


def _member(name: str, wanted: tuple[str, ...], said: tuple[str, ...]) -> Explained:
    missing = [value for value in said if value not in wanted]
    fix = f"Add {', '.join(missing)}." if missing else ""
    return Explained(
        name,
        not missing,
        visible(", ".join(wanted), MAX_SHOWN),
        visible(", ".join(said), MAX_SHOWN),
        visible(fix, MAX_SHOWN),
    )


def check_explanation(exam: Examination) -> Iterator[CheckResult]:
    """Why the role accepts or refuses the token, check by check in the Vault's own order."""
    token, at = exam.tokens.login, unix_seconds(exam.clock.now())
    if token is None:
        token, at = exam.tokens.expired, 1  # the one second in which the probe was valid
    if token is None:
        yield result("explanation", Verdict.SKIPPED, "there is no identity token to explain")
        return
    explanation = explain_login(exam, token, at)
    if explanation is None:
        yield result("explanation", Verdict.UNKNOWN, "this token cannot be explained here")
        return
    failed = [item.name for item in explanation.checks if item.passed is False]
    if explanation.accepted:
        seen, verdict = "role and config accept the identity token", Verdict.OK
    else:
        seen, verdict = f"role and config refuse the identity token: {', '.join(failed) or 'see below'}", Verdict.FAILED
    first = next((item.fix for item in explanation.checks if item.passed is False and item.fix), "")
    base = result("explanation", verdict, seen, first)
    yield CheckResult(base.check, base.verdict, base.seen, base.next_step, explanation.checks)


def check_weak_spots(exam: Examination) -> Iterator[CheckResult]:
    """What lint says of role and config."""
    if exam.reading is None:
        yield result("weak_spots", Verdict.SKIPPED, NOT_READABLE, GIVE_TOKEN)
        return
    found = [finding for finding in lint(exam.reading.facts) if finding.is_serious]
    if not found:
        yield result("weak_spots", Verdict.OK, "lint finds neither errors nor warnings")
        return
    codes = ", ".join(dict.fromkeys(finding.code for finding in found))
    yield result("weak_spots", Verdict.WARNING, f"lint finds: {codes}", _first(found[0].to_json()))


def _first(finding: Mapping[str, Any]) -> str:
    return f"{finding['where']}: {finding['fix']}"
