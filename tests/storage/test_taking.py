"""Taking the next deployment: one at a time for each environment, none twice, none lost."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from factories import Tenant, World, holder
from runpass.errors import Unauthenticated
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.server.deployments import store
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.run_leases import finish, take
from runpass.server.runners.model import Runner
from runpass.server.runners.store import get_runner, revoke_runner


def succeed(world: World, runner: Runner, lease: RunLease) -> None:
    finish(world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS))


class Watch:
    """Counts, across threads, what runs where at the same moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[UUID] = set()
        self.taken: list[UUID] = []
        self.twice_at_once: list[UUID] = []

    def begin(self, lease: RunLease) -> None:
        with self._lock:
            if lease.run.environment_id in self._running:
                self.twice_at_once.append(lease.run.environment_id)
            self._running.add(lease.run.environment_id)
            self.taken.append(lease.run.deployment_id)

    def end(self, lease: RunLease) -> None:
        with self._lock:
            self._running.discard(lease.run.environment_id)


@pytest.mark.parametrize("environments", [1, 3], ids=["one environment", "three environments"])
def test_eight_takers_never_run_an_environment_twice_at_once(tenant: Tenant, world: World, environments: int):
    project = tenant.project()
    template = tenant.template(project)
    places = [tenant.environment(project, template, f"e{n}") for n in range(environments)]
    queued = [tenant.queue(places[n % environments]).id for n in range(18)]
    runners = [tenant.runner() for _ in range(8)]
    watch, left = Watch(), threading.Semaphore(len(queued))
    begin = threading.Barrier(8)

    def work(runner: Runner) -> None:
        begin.wait()
        while len(watch.taken) < len(queued):
            lease = take(world.rules, runner)
            if lease is None:
                continue
            watch.begin(lease)
            left.acquire(blocking=False)
            watch.end(lease)
            succeed(world, runner, lease)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, runners))

    assert watch.twice_at_once == []
    assert Counter(watch.taken) == Counter(queued)
    with world.database.read() as tx:
        ended = [store.get_deployment(tx, tenant.id, item) for item in queued]
    assert {item.status for item in ended if item} == {DeploymentStatus.SUCCESS}


def test_the_oldest_deployment_whose_environment_is_free_comes_first(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    one, other = (tenant.environment(project, template, name) for name in ("one", "other"))
    first, blocked, free = tenant.queue(one), tenant.queue(one), tenant.queue(other)
    runner = tenant.runner(capacity=3)
    leases = [take(world.rules, runner) for _ in range(3)]
    assert [lease.run.deployment_id if lease else None for lease in leases] == [first.id, free.id, None]
    assert leases[0] is not None
    succeed(world, runner, leases[0])
    following = take(world.rules, runner)
    assert following is not None
    assert following.run.deployment_id == blocked.id


def test_a_runner_gets_no_more_than_its_capacity(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    for n in range(4):
        tenant.queue(tenant.environment(project, template, f"e{n}"))
    runner = tenant.runner(capacity=2)
    with ThreadPoolExecutor(4) as threads:
        taken = [lease for lease in threads.map(lambda _: take(world.rules, runner), range(4)) if lease]
    assert len(taken) == 2
    succeed(world, runner, taken[0])
    assert take(world.rules, runner) is not None


def test_a_runner_takes_only_from_its_own_pool_and_organization(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    stranger = world.tenant("stranger")
    assert take(world.rules, tenant.runner(pool="other")) is None
    assert take(world.rules, stranger.runner()) is None
    assert take(world.rules, tenant.runner()) is not None


def test_an_unisolated_runner_gets_one_run_at_a_time_whatever_capacity_it_asked_for(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    for name in ("one", "other"):
        tenant.queue(tenant.environment(project, template, name))
    runner = tenant.runner(Isolation.NONE, capacity=4)
    assert take(world.rules, runner) is not None
    assert take(world.rules, runner) is None


def test_an_unisolated_runner_stays_with_its_first_project_for_good(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner(Isolation.NONE)
    lease = take(world.rules, runner)
    assert lease is not None
    succeed(world, runner, lease)
    elsewhere = tenant.project("elsewhere")
    tenant.queue(tenant.environment(elsewhere, tenant.template(elsewhere)))

    with world.database.read() as tx:
        bound = get_runner(tx, runner.id)
    assert bound is not None
    assert bound.bound_project_id == project.id
    assert take(world.rules, bound) is None
    # a question that began before the runner was bound is held to it as well
    assert runner.bound_project_id is None
    assert take(world.rules, runner) is None
    tenant.queue(environment)
    assert take(world.rules, runner) is not None


def test_an_isolated_runner_is_never_bound(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner(Isolation.UID)
    assert take(world.rules, runner) is not None
    with world.database.read() as tx:
        assert get_runner(tx, runner.id) == replace(runner, last_seen_at=world.clock.now())


def test_a_runner_that_is_revoked_while_it_waits_gets_nothing(tenant: Tenant, world: World):
    runner = tenant.runner()
    with world.database.write() as tx:
        revoke_runner(tx, tenant.id, runner.id, world.clock.now())
    deployment = tenant.queue(tenant.somewhere_to_deploy()[1])
    with pytest.raises(Unauthenticated):
        take(world.rules, runner)
    with world.database.read() as tx:
        assert store.get_deployment(tx, tenant.id, deployment.id) == deployment


def test_asking_for_work_shows_that_a_runner_is_there(tenant: Tenant, world: World):
    runner = tenant.runner()
    world.clock.advance(timedelta(minutes=1))
    assert take(world.rules, runner) is None
    with world.database.read() as tx:
        seen = get_runner(tx, runner.id)
    assert seen is not None
    assert seen.last_seen_at == world.clock.now()
