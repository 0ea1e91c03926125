"""An examination in one call, for tests of the doctor."""

from runpass.vault.doctor.diagnosis import CHECKS, diagnose
from runpass.vault.doctor.model import Limits, ProbeTokens, Verdict

PAST = {"iat": 1, "nbf": 1, "exp": 2}
QUICK = Limits(request_seconds=2.0)


def tokens(issuer, **changes) -> ProbeTokens:
    return ProbeTokens(expired=issuer.token(**PAST, **changes), login=issuer.token(**changes))


def examined(target, given=None, **more):
    """Every result by its check; a check that gives several keeps the worst."""
    results = list(diagnose(target, given, limits=QUICK, **more))
    assert {item.check for item in results} - {check.name for check in CHECKS} <= {"client_certificate"}
    order = [Verdict.FAILED, Verdict.WARNING, Verdict.UNKNOWN, Verdict.SKIPPED, Verdict.OK]
    return {item.check: item for item in sorted(results, key=lambda item: -order.index(item.verdict))}


def failed(results) -> set[str]:
    return {name for name, item in results.items() if item.verdict is Verdict.FAILED}
