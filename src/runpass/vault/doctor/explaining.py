"""The one place that asks `runpass.vault.explain`, in its words, and gives the answer in ours."""

from dataclasses import dataclass

from runpass.secret import Secret
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.model import MAX_TEXT, Explained, visible_lines
from runpass.vault.errors import visible


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a role accepts a token, and each step of that decision in the Vault's own order."""

    accepted: bool
    checks: tuple[Explained, ...]


def explain_login(exam: Examination, token: Secret, at: int) -> Explanation | None:
    """Give the explanation of a token at a moment (Unix seconds); None while role or config are not known."""
    from runpass.vault.explain import LoginCase, explain

    role, facts = exam.role, None if exam.reading is None else exam.reading.facts
    if role is None or facts is None or facts.config is None:
        return None
    case = LoginCase(
        role_name=exam.target.role,
        role=role,
        config=facts.config,
        jwks=exam.knowledge.jwks,
        token=token,
        at=at,
        server="vault" if exam.server.kind == "vault" else "openbao",
        server_version=exam.server.version,
        mount=exam.target.mount.strip("/"),
    )
    found = explain(case)
    checks = tuple(
        Explained(
            visible(check.name, MAX_TEXT),
            check.passed,
            visible(check.expected, MAX_TEXT),
            visible(check.received, MAX_TEXT),
            visible_lines(check.fix),
        )
        for check in found.checks
    )
    return Explanation(found.accepted, checks)
