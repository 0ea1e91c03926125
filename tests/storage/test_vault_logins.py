"""The account of logins at Vaults: who may say what, and what is never forgotten."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from factories import Tenant, World
from runpass.errors import StaleLease
from runpass.ids import VaultLoginId, new_id
from runpass.protocol.identity import ForJob
from runpass.protocol.vault_logins import GivenToken, LoginEnd
from runpass.secret import Secret
from runpass.server.credentials.store import record_role
from runpass.server.db.schema.vault_logins import identity_tokens, vault_logins
from runpass.server.deployments import login_store
from runpass.server.deployments.keeper import LEEWAY, settle_once
from runpass.server.deployments.run_leases import RUNNER_REVOKED, lose_all
from runpass.server.deployments.store import get_deployment
from vault_run import ACCESSOR, GIVEN, ISSUER, ROLE, TTL, Run, gone


@pytest.fixture
def run(world: World, tenant: Tenant) -> Run:
    return Run(world, tenant)


def test_a_login_counts_from_the_moment_that_its_token_is_minted(run: Run):
    assert run.counts() == (0, 0, 0)
    run.log_in()
    assert run.counts() == (0, 0, 1)


def test_a_revoked_token_is_nothing_to_count_and_nothing_to_sweep(run: Run):
    login = run.log_in()
    run.tell(login)
    run.finish(gone(login))
    assert run.counts() == (0, 0, 0)
    assert run.sweep() is None


def test_a_refused_login_is_nothing_to_count(run: Run):
    login = run.log_in()
    run.tell(login, None)
    run.lose()
    assert run.counts() == (0, 0, 0)


def test_an_identity_token_that_never_arrived_is_none_that_anybody_logged_in_with(run: Run):
    run.log_in()
    login = run.log_in()  # the runner repeats a call that was not answered
    run.tell(login)
    run.finish(gone(login))
    assert run.counts() == (0, 0, 0)


def test_a_runner_that_keeps_no_account_leaves_what_nobody_can_know(run: Run):
    run.log_in()
    run.finish(tells=False)
    assert run.counts() == (0, 1, 0)


def test_a_login_that_nobody_reported_is_over_after_the_first_ttl_of_its_role(run: Run, world: World):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "role": json.dumps({"token_ttl": 120})})
    run.log_in()
    run.lose()
    assert run.counts() == (0, 1, 0)
    world.clock.advance(TTL - timedelta(seconds=1))
    assert run.counts() == (0, 1, 0)
    world.clock.advance(timedelta(seconds=1))
    assert run.counts() == (0, 0, 0)
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        assert tx.execute(select(vault_logins.c.settled_at)).scalar_one() is not None
        assert login_store.count_outstanding(tx) == (0, 0)


@pytest.mark.parametrize(
    ("role", "first"),
    [
        ({"token_ttl": 60, "token_period": 90}, 90),
        ({"token_ttl": 60, "token_period": 0}, 60),
        ({"token_ttl": 0}, None),
        ({"token_ttl": "1h"}, None),
        ({}, None),
    ],
)
def test_the_first_ttl_is_what_apply_recorded(run: Run, world: World, role: dict[str, Any], first: int | None):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "role": json.dumps(role)})
    run.log_in()
    with world.database.read() as tx:
        assert tx.execute(select(vault_logins.c.first_ttl_seconds)).scalar_one() == first


def test_what_was_recorded_for_another_role_says_nothing(run: Run, world: World):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "roleName": "other", "role": json.dumps({"token_ttl": 60})})
    run.log_in()
    run.lose()
    world.clock.advance(timedelta(days=400))
    settle_once(world.database, world.clock)
    assert run.counts() == (0, 1, 0)


@pytest.mark.parametrize(
    ("end", "given", "left", "is_swept"),
    [
        (LoginEnd.ALREADY_GONE, GIVEN, (0, 0, 0), False),
        (LoginEnd.NO_TOKEN, None, (0, 0, 0), False),
        (LoginEnd.NOT_REVOCABLE, GivenToken(ttl_seconds=120), (1, 0, 0), False),
        (LoginEnd.NOT_ALLOWED, GIVEN, (1, 0, 0), True),
        (LoginEnd.FAILED, GIVEN, (1, 0, 0), True),
        (LoginEnd.FAILED, None, (0, 1, 0), False),
        (LoginEnd.GOING_ON, None, (0, 1, 0), False),
    ],
)
def test_the_last_word_says_what_is_left_and_what_is_swept(
    run: Run, end: LoginEnd, given: GivenToken | None, left: tuple[int, int, int], *, is_swept: bool
):
    run.finish(gone(run.log_in(), end, given))  # the report never arrived
    assert run.counts() == left
    assert (run.sweep() is not None) == is_swept


def test_only_the_holder_speaks_of_its_own_logins_and_the_first_accessor_stays(run: Run, world: World):
    login = run.log_in()
    run.tell(login)
    run.tell(login, GivenToken(accessor=Secret("another"), ttl_seconds=600, renewable=True))
    run.tell(login, None)
    other = Run(world, run.tenant)
    for unknown in (login, VaultLoginId(new_id())):
        with pytest.raises(StaleLease):
            other.tell(unknown)
    run.lose()
    with pytest.raises(StaleLease):
        run.tell(login)
    (found,) = [item for item in run.left().known if item.id == login]
    assert found.until == world.clock.now() + timedelta(seconds=600)
    task = run.sweep()
    assert task is not None
    assert task.accessor.reveal() == ACCESSOR


def test_an_accessor_is_sealed_for_its_very_row(run: Run, world: World):
    run.tell(run.log_in())
    with world.database.read() as tx:
        row = tx.execute(select(vault_logins)).one()
    assert ACCESSOR.encode() not in row.accessor_sealed
    assert ACCESSOR not in str(row)


def test_a_revoked_runner_loses_its_leases_in_the_same_transaction(run: Run, world: World):
    run.tell(run.log_in())
    with world.database.write() as tx:
        (lost,) = lose_all(tx, world.rules, run.runner.id, world.clock.now())
    assert lost.id == run.lease.run.deployment_id
    assert run.counts() == (1, 0, 0)
    assert run.sweep() is not None
    with world.database.read() as tx:
        ended = get_deployment(tx, run.tenant.id, lost.id)
    assert ended is not None
    assert ended.error == RUNNER_REVOKED


def test_job_tokens_of_ended_runs_are_named_until_no_vault_takes_them(run: Run, world: World):
    run.passport.issue(run.holder, ForJob())
    assert run.left().identity_tokens == []
    run.finish()
    (held,) = run.left().identity_tokens
    assert (held.deployment_id, held.audience) == (run.lease.run.deployment_id, ISSUER[:-1])
    world.clock.advance(timedelta(minutes=5) + LEEWAY)
    assert run.left().identity_tokens == []
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        left = list(tx.execute(select(identity_tokens.c.jti)))
    assert len(left) <= 1  # a token ends at a whole second, and is forgotten after it
    world.clock.advance(timedelta(seconds=1))
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        assert list(tx.execute(select(identity_tokens.c.jti))) == []


def test_a_token_that_does_not_expire_is_outstanding_until_it_is_swept(run: Run):
    run.tell(run.log_in(), GivenToken(accessor=Secret(ACCESSOR), ttl_seconds=0))
    run.lose()
    (found,) = run.left().known
    assert found.until is None
    assert run.sweep() is not None
