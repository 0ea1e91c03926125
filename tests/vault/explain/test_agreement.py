"""What is explained is what a real OpenBao does: verdict, status and text agree for logins made at random.

Bounded here; at length with the Hypothesis profile "fuzz" (`make fuzz`).
"""

import time
from collections import Counter

import hypothesis
import pytest

from explain_comparing import ROWS, comparison, row_of
from explain_steps import generate
from runpass.local.openbao import DevOpenBao

LONG = hypothesis.settings.get_profile("fuzz").max_examples == hypothesis.settings.default.max_examples
LOGINS = 55_000 if LONG else 2_600
WANTED = 50_000 if LONG else 2_000
"""Roles that OpenBao does not accept are not counted."""
OF_EACH_ROW = 200 if LONG else 20
ACCEPTED = 0.25
FIRST_SEED = 1


@pytest.mark.timeout(3600 if LONG else 180)
def test_every_login_ends_as_it_is_explained(openbao: DevOpenBao, capsys: pytest.CaptureFixture[str]):
    rows: Counter[int] = Counter()
    compared = accepted = 0
    disagree: list[str] = []
    with comparison(openbao) as both:
        for seed in range(FIRST_SEED, FIRST_SEED + LOGINS):
            login = generate(seed, int(time.time()))
            found = both.compare(login, f"role{seed}")
            if found is None:
                continue
            outcome, explained = found
            compared += 1
            accepted += outcome.status == 200
            row = row_of(outcome.error or "")
            if row is not None:
                rows[row] += 1
            agree = outcome.status == explained.status and outcome.error in {
                explained.error,
                *explained.possible_errors,
            }
            if not agree:
                said = f"{explained.status} {explained.possible_errors}"
                disagree.append(f"seed {seed}: {outcome.status} {outcome.error}\n  explained: {said}\n  {login}")
    with capsys.disabled():
        counts = ", ".join(f"row {row}: {rows[row]}" for row in ROWS)
        print(f"\n{compared} logins compared, {accepted} accepted; refused first by {counts}")
    assert disagree == []
    assert compared >= WANTED
    assert accepted >= ACCEPTED * compared
    assert {row: rows[row] for row in ROWS if rows[row] < OF_EACH_ROW} == {}
