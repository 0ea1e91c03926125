"""All checks in their order, and `diagnose`, which goes through them."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

from runpass.clock import SYSTEM_CLOCK, Clock
from runpass.vault.doctor import access, certificates, condition, issuer, network, place, roles
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.model import CheckResult, DoctorTarget, Knowledge, Limits, ProbeTokens, Verdict, result
from runpass.vault.errors import VaultFailure


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `needs` are those that must not have failed, or it is skipped."""

    name: str
    looks: str
    """What it looks at, for the reference documentation."""
    run: Callable[[Examination], Iterator[CheckResult]]
    needs: tuple[str, ...] = ()


_ROLE: Final = ("role", "client_address")
CHECKS: Final = (
    Check("address", "whether the address can be used, and whether it is encrypted", network.check_address),
    Check("dns", "whether the host name is known here", network.check_name, ("address",)),
    Check("tcp", "whether somebody accepts connections", network.check_port, ("dns",)),
    Check("tls", "the certificate's names, authority and end", certificates.check_tls, ("tcp",)),
    Check("server", "whether a Vault answers, initialised and unsealed", condition.check_server, ("tls",)),
    Check("clock", "how far the clocks are apart", condition.check_clock, ("tls",)),
    Check("namespace", "whether both namespaces exist", place.check_namespaces, ("server",)),
    Check("mount", "whether a JWT auth method is mounted and configured", place.check_mount, ("namespace",)),
    Check("role", "whether the role exists and is for JWTs", place.check_role, ("mount",)),
    Check("client_address", "whether the role allows this machine's address", place.check_client_address, ("role",)),
    Check("issuer_keys", "whether the Vault reaches the issuer and reads its keys", issuer.check_issuer_keys, _ROLE),
    Check("expired_token", "whether a token of 1970 is refused for its time alone", issuer.check_expired_token, _ROLE),
    Check("login", "whether a run could log in, and what it would get", access.check_login, _ROLE),
    Check("role_text", "whether role and config can be read", roles.check_reading, ("mount",)),
    Check("expectations", "whether they expect what the tokens say", roles.check_expectations, ("role_text",)),
    Check("explanation", "why the role accepts or refuses the token", roles.check_explanation, ("role_text",)),
    Check("weak_spots", "what `runpass vault lint` finds", roles.check_weak_spots, ("role_text",)),
    Check("token", "whether the token may renew and revoke itself", access.check_token, ("login",)),
    Check("secret", "engine, capabilities and readability of each secret", access.check_secrets, ("login",)),
    Check("revocation", "whether the tokens of this examination are gone", access.check_revocation),
)
STRAIGHT: Final = frozenset({"dns", "tcp", "tls"})
"""Checks that connect to the Vault themselves."""
LAST: Final = "revocation"
PASSED: Final = frozenset({Verdict.OK, Verdict.WARNING, Verdict.UNKNOWN})


def diagnose(
    target: DoctorTarget,
    tokens: ProbeTokens | None = None,
    *,
    knowledge: Knowledge | None = None,
    limits: Limits | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Generator[CheckResult, None, None]:
    """Give the results one by one, as they come; every token is revoked at the end, also when nobody asks on.

    Whoever may stop before the end closes it (`contextlib.closing`), so that the tokens end then and not later.
    Raises nothing that a Vault, a network or an address could cause: that is what the results are about.
    """
    exam = Examination(target, tokens or ProbeTokens(), knowledge or Knowledge(), limits or Limits(), clock)
    with exam:
        for check in CHECKS:
            verdicts = []
            for found in _results(exam, check):
                verdicts.append(found.verdict)
                yield found
            exam.verdicts[check.name] = _worst(verdicts)


def _results(exam: Examination, check: Check) -> Iterator[CheckResult]:
    blocking = next((need for need in check.needs if not _has_passed(exam, need)), None)
    if blocking is not None:
        yield result(check.name, Verdict.SKIPPED, f"not looked at: {blocking} comes first")
        return
    if exam.target.tls.proxy and check.name in STRAIGHT:
        yield result(check.name, Verdict.UNKNOWN, "not looked at: requests go through the proxy")
        return
    if exam.is_over and check.name != LAST:
        yield result(check.name, Verdict.UNKNOWN, "there was no time left")
        return
    try:
        yield from check.run(exam)
    except VaultFailure as error:
        words = f" (Vault said: {error.vault_error})" if error.vault_error else ""
        yield result(check.name, Verdict.FAILED, f"{error.message}{words}", error.hint or "")


def _has_passed(exam: Examination, need: str) -> bool:
    if need == "tls" and exam.verdicts.get("tcp") in PASSED and exam.target.address.lower().startswith("http:"):
        return True
    if need == "login":
        return exam.session is not None
    return exam.verdicts.get(need) in PASSED


def _worst(verdicts: list[Verdict]) -> Verdict:
    order = (Verdict.FAILED, Verdict.SKIPPED, Verdict.UNKNOWN, Verdict.WARNING)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.OK)
