from pathlib import Path

from runpass.vault.doctor.diagnosis import CHECKS
from runpass.vault.doctor.model import Verdict

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "vault-doctor.md").read_text(encoding="utf-8")


def test_every_check_and_verdict_is_documented_in_order():
    rows = "\n".join(f"| `{check.name}` | {check.looks} |" for check in CHECKS)
    assert rows in PAGE
    assert all(f"| `{verdict.value}` |" in PAGE for verdict in Verdict)


def test_every_check_needs_only_what_comes_before_it():
    known: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= known
        known.add(check.name)
