"""Join tokens: how many runners, how long, for whom."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from factories import Tenant, World
from runpass.errors import Unauthenticated
from runpass.protocol.registration import Isolation, Registration
from runpass.secret import Secret
from runpass.server.db.schema.runners import join_tokens
from runpass.server.runners.joining import Joined, register, runner_of

REGISTRATION = Registration(name="runner", version="1", isolation=Isolation.BUBBLEWRAP, capacity=2)


def join(world: World, token: Secret) -> Joined:
    return register(world.database, token, REGISTRATION, world.clock)


def test_a_join_token_makes_runners_of_its_own_organization_and_pool(tenant: Tenant, world: World):
    world.tenant("stranger")
    joined = join(world, tenant.join_token(pool="gpu"))
    assert (joined.runner.organization_id, joined.runner.pool) == (tenant.id, "gpu")
    assert (joined.runner.isolation, joined.runner.capacity) == (Isolation.BUBBLEWRAP, 2)
    with world.database.read() as tx:
        assert runner_of(tx, joined.key) == joined.runner


def test_a_join_token_is_good_for_so_many_runners_however_many_try_at_once(tenant: Tenant, world: World):
    token = tenant.join_token(uses=3)

    def attempt(_: int) -> Joined | None:
        try:
            return join(world, token)
        except Unauthenticated:
            return None

    with ThreadPoolExecutor(8) as threads:
        joined = [item for item in threads.map(attempt, range(8)) if item]
    assert len(joined) == 3
    assert len({item.key.reveal() for item in joined}) == 3


def test_a_join_token_runs_out_of_time(tenant: Tenant, world: World):
    token = tenant.join_token(uses=2, lifetime=timedelta(minutes=1))
    world.clock.advance(timedelta(seconds=59))
    join(world, token)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        join(world, token)


def test_unknown_spent_and_expired_tokens_get_the_same_sentence(tenant: Tenant, world: World):
    spent, expired = tenant.join_token(), tenant.join_token(lifetime=timedelta(seconds=1))
    join(world, spent)
    world.clock.advance(timedelta(seconds=1))
    sentences = set()
    for token in (spent, expired, Secret("rpj_unknown"), Secret("")):
        with pytest.raises(Unauthenticated) as error:
            join(world, token)
        sentences.add(error.value.message)
    assert sentences == {"the join token is unknown, spent or expired"}


def test_no_other_bearer_joins_and_no_other_bearer_is_a_runner_key(tenant: Tenant, world: World):
    joined, token = tenant.join(), tenant.join_token()
    for wrong in (joined.key, tenant.api_secret):
        with pytest.raises(Unauthenticated):
            join(world, wrong)
    with world.database.read() as tx:
        for wrong in (token, tenant.api_secret, Secret("")):
            with pytest.raises(Unauthenticated):
                runner_of(tx, wrong)


def test_tokens_that_can_no_longer_be_used_are_cleared_away(tenant: Tenant, world: World):
    stranger = world.tenant("stranger")
    stranger.join_token(lifetime=timedelta(seconds=1))
    join(world, tenant.join_token())
    tenant.join_token(lifetime=timedelta(seconds=1))
    world.clock.advance(timedelta(seconds=1))
    tenant.join_token()
    with world.database.read() as tx:
        query = select(join_tokens.c.organization_id, func.count()).group_by(join_tokens.c.organization_id)
        left = {row[0]: row[1] for row in tx.execute(query)}
    assert left == {tenant.id: 1, stranger.id: 1}
