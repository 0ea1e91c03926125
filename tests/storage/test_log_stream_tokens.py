"""Renewals on a page that is open: who may see credentials is told when a token ends now, others are told nothing."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from console import new_key
from factories import Tenant, World
from runpass.ids import DeploymentId, SessionId, new_id
from runpass.secret import Secret
from runpass.server.access.api_keys import actor_of
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.sessions import start_session
from runpass.server.deployments.log_stream import LogStream
from runpass.server.deployments.log_watch import LogWatch
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.http.wire import rfc3339
from vault_run import GIVEN, Run

TOLD = GIVEN.model_copy(update={"renewals": 0, "left_seconds": 120})
RENEWED = TOLD.model_copy(update={"renewals": 1, "left_seconds": 120})


@dataclass
class Follower:
    """A page that follows a run, as far as its stream goes."""

    run: Run
    bearer: Secret
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        world = self.run.world
        self.watch = LogWatch(world.database, Wakeups())
        self.frames = self.loop.run_until_complete(self._begin(world))

    async def _begin(self, world: World) -> Any:
        watcher = self.watch.watch(DeploymentId(self.run.lease.run.deployment_id), SessionId(new_id()))
        self.watcher = watcher
        return LogStream(world.database, world.clock, self.watch, self.bearer, watcher, "").frames()

    def until(self, name: str) -> list[dict[str, Any]]:
        """Read up to an event of this name; give what the events about tokens say on the way."""
        return self.loop.run_until_complete(self._until(name))

    async def _until(self, name: str) -> list[dict[str, Any]]:
        told = list[dict[str, Any]]()
        async with asyncio.timeout(60):
            async for frame in self.frames:
                if frame.startswith("event: tokens\n"):
                    told += json.loads(frame.partition("data: ")[2])["tokens"]
                if frame.startswith(f"event: {name}\n"):
                    return told
        raise AssertionError(f"the stream ended without {name}")

    def close(self) -> None:
        self.watcher.leave()
        self.loop.run_until_complete(self.frames.aclose())
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture
def run(world: World, tenant: Tenant) -> Run:
    return Run(world, tenant)


@pytest.fixture
def followers(run: Run) -> Iterator[dict[ProjectRole, Follower]]:
    """A project's admin, who may see credentials, and a deployer, who may not."""
    found = {}
    for role in (ProjectRole.ADMIN, ProjectRole.DEPLOYER):
        key = new_key(run.world, run.tenant.id, OrganizationRole.USER, {run.project.id: role}).key
        with run.world.database.write() as tx:
            found[role] = Follower(run, start_session(tx, actor_of(key), run.world.clock.now()))
    yield found
    for follower in found.values():
        follower.close()


def test_a_renewal_reaches_the_open_pages_of_those_who_may_see_credentials_alone(
    run: Run, followers: dict[ProjectRole, Follower]
):
    admin, deployer = followers[ProjectRole.ADMIN], followers[ProjectRole.DEPLOYER]
    login = run.log_in()
    run.tell(login, TOLD)
    first = run.world.clock.now() + timedelta(seconds=120)
    (told,) = admin.until("state")
    assert (told["login"], told["until"], told["renewed"]) == (str(login), rfc3339(first), "Never")
    assert deployer.until("state") == []
    run.world.clock.advance(timedelta(seconds=20))
    run.tell(login, RENEWED)
    (told,) = admin.until("tokens")
    assert (told["login"], told["until"]) == (str(login), rfc3339(first + timedelta(seconds=20)))
    assert told["renewed"] != "Never"
    run.finish()
    assert admin.until("over") == []
    assert deployer.until("over") == []
