"""What a runner saw of a Vault, and whether that proves that the Vault does not trust a key any more."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from runpass.ids import OrganizationId
from runpass.protocol.key_checks import ProbeVerdict, Refetched
from runpass.server.credentials.model import StoredCredential
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.known_vaults import Keys, KnownVault, Place
from runpass.server.vault_tasks.model import TAKES, WAITS
from runpass.server.vault_tasks.trust import Trust, judged

AT_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place("https://vault.example.com", "", "jwt")


def vault(keys: Keys = Keys.UNKNOWN) -> KnownVault:
    recorded = {"config": json.dumps({"jwt_validation_pubkeys": ["a key"]})} if keys is Keys.PUSHED else None
    facts: dict[str, Any] = dict.fromkeys(StoredCredential.__dataclass_fields__)
    credential = StoredCredential(**facts | {"recorded": recorded})
    found = KnownVault(organization_id=OrganizationId(uuid4()), place=PLACE, credentials=(credential,), verifier=None)
    assert found.keys is keys
    return found


def check(**changes: Any) -> StoredKeyCheck:
    facts: dict[str, Any] = dict.fromkeys(StoredKeyCheck.__dataclass_fields__)
    found = {"place": PLACE, "created_at": AT_FIRST, "taken_at": AT_FIRST, "finished_at": AT_FIRST, "reached": True}
    return StoredKeyCheck(**facts | found | changes)


def trust(refetched: Refetched, probe: ProbeVerdict | None, *, keys: Keys = Keys.UNKNOWN, **changes: Any) -> Trust:
    return judged(vault(keys), check(refetched=refetched, probe_verdict=probe, **changes), AT_FIRST).trust


@pytest.mark.parametrize("refetched", list(Refetched))
@pytest.mark.parametrize("probe", [None, *ProbeVerdict])
def test_only_a_refused_signature_is_a_cure(refetched: Refetched, probe: ProbeVerdict | None):
    is_cure = probe is ProbeVerdict.REFUSED_SIGNATURE and refetched is not Refetched.ACCEPTED
    assert (trust(refetched, probe) is Trust.CURED) == is_cure


def test_a_vault_that_accepts_the_signature_trusts_the_key_and_pushed_keys_are_told_apart():
    for probe in (ProbeVerdict.REFUSED_EXPIRED, ProbeVerdict.ACCEPTED):
        for refetched in (Refetched.FETCHED, Refetched.FETCH_FAILED, Refetched.NOT_READ):
            assert trust(refetched, probe) is Trust.TRUSTED
            assert trust(refetched, probe, keys=Keys.PUSHED) is Trust.PUSHED
        assert trust(Refetched.PUSHED_KEYS, probe) is Trust.PUSHED
    assert trust(Refetched.PUSHED_KEYS, ProbeVerdict.REFUSED_SIGNATURE, keys=Keys.PUSHED) is Trust.CURED


def test_what_is_not_read_is_not_confirmed():
    assert trust(Refetched.NOT_READ, ProbeVerdict.NOT_READ) is Trust.NOT_CONFIRMED
    assert trust(Refetched.NOT_READ, ProbeVerdict.NOT_READ, reached=False) is Trust.UNREACHABLE
    assert trust(Refetched.FETCH_FAILED, ProbeVerdict.NOT_READ) is Trust.NOT_CONFIRMED
    assert trust(Refetched.ACCEPTED, ProbeVerdict.REFUSED_SIGNATURE) is Trust.NOT_CONFIRMED
    assert judged(vault(), None, AT_FIRST).trust is Trust.NOT_CONFIRMED
    unsent = judged(vault(), check(reached=False, said="the credential is gone"), AT_FIRST)
    assert (unsent.trust, unsent.said) == (Trust.NOT_CONFIRMED, "the credential is gone")


def test_a_check_that_nobody_took_or_nobody_ended_says_so():
    waiting = check(taken_at=None, finished_at=None)
    assert judged(vault(), waiting, AT_FIRST).trust is Trust.NO_RUNNER
    assert judged(vault(), waiting, AT_FIRST + WAITS).trust is Trust.NO_RUNNER
    taken = check(finished_at=None)
    assert judged(vault(), taken, AT_FIRST).trust is Trust.NOT_CONFIRMED
    assert judged(vault(), taken, AT_FIRST + TAKES).trust is Trust.NOT_CONFIRMED


def test_everything_but_a_cure_says_why():
    for refetched in Refetched:
        for probe in (None, *ProbeVerdict):
            found = judged(vault(), check(refetched=refetched, probe_verdict=probe, said="words"), AT_FIRST)
            assert bool(found.why) == (found.trust is not Trust.CURED)
            assert found.said == "words"
