"""A connection test in words, as a page shows it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runpass.protocol.vault_tasks import Checked, Verdict
from runpass.server.vault_tasks.model import TAKES, WAITS, TaskStatus, VaultTask

OVER: Final = frozenset({TaskStatus.DONE, TaskStatus.NOT_TAKEN, TaskStatus.LOST})
TITLES: Final[Mapping[str, str]] = {
    "address": "The address",
    "dns": "The host's name",
    "tcp": "A connection",
    "tls": "The certificate",
    "client_certificate": "The runner's client certificate",
    "server": "The Vault",
    "clock": "The clocks",
    "namespace": "The namespaces",
    "mount": "The auth method",
    "role": "The role",
    "client_address": "The runner's address",
    "issuer_keys": "The issuer's keys",
    "expired_token": "A token of 1970",
    "login": "The login",
    "role_text": "The texts of role and config",
    "expectations": "What role and config expect",
    "explanation": "Why the role accepts or refuses",
    "weak_spots": "Weak spots of the role",
    "token": "The Vault token",
    "secret": "A secret",
    "revocation": "The end of the tokens",
}
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.OK: "OK",
    Verdict.WARNING: "Look at it",
    Verdict.FAILED: "Failed",
    Verdict.UNKNOWN: "Unknown",
    Verdict.SKIPPED: "Skipped",
}
_TONES: Final = {Verdict.OK: "good", Verdict.FAILED: "problem-text", Verdict.WARNING: "warn-text"}


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check."""

    number: int
    checked: Checked
    title: str
    verdict: str
    tone: str
    """The class of its colour; the words say the same."""


@dataclass(frozen=True, slots=True)
class TestView:
    """A connection test."""

    __test__ = False  # pytest: this is no test
    task: VaultTask
    status: TaskStatus
    words: str
    tone: str
    checks: tuple[CheckView, ...]
    first: CheckView | None
    """What is to be mended first."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.status in OVER


def view_of(task: VaultTask, status: TaskStatus) -> TestView:
    """Give a test that has this status in words."""
    checks = tuple(_check(number, item) for number, item in enumerate(task.checks or (), start=1))
    words, tone = _outcome(task.checks or ()) if status is TaskStatus.DONE else _WORDS[status]
    first = next((item for item in checks if item.checked.verdict is Verdict.FAILED), None)
    return TestView(task, status, words, tone, checks, first)


def _check(number: int, found: Checked) -> CheckView:
    title, tone = TITLES.get(found.name, found.name), _TONES.get(found.verdict, "quiet")
    return CheckView(number, found, title, VERDICTS[found.verdict], tone)


_WORDS: Final = {
    TaskStatus.QUEUED: ("Waits for a runner", ""),
    TaskStatus.IN_PROGRESS: ("A runner tries it", ""),
    TaskStatus.NOT_TAKEN: (f"No runner of the pool took it within {WAITS.seconds // 60} minutes", "problem-text"),
    TaskStatus.LOST: (
        f"The runner that took it did not say within {TAKES.seconds // 60} minutes how it went",
        "problem-text",
    ),
}


def _outcome(checks: Sequence[Checked]) -> tuple[str, str]:
    """Say what the checks come to. Nothing is called working that did not log in."""
    failed, warnings = (sum(item.verdict is one for item in checks) for one in (Verdict.FAILED, Verdict.WARNING))
    logged_in = any(item.name == "login" and item.verdict in {Verdict.OK, Verdict.WARNING} for item in checks)
    if failed:
        return f"Does not work: {failed} {'check' if failed == 1 else 'checks'} failed", "problem-text"
    if not logged_in:
        return "Nothing failed, but nobody logged in", "warn-text"
    if warnings:
        return f"Works; {warnings} {'thing' if warnings == 1 else 'things'} to look at", "warn-text"
    return "Works", "good"
