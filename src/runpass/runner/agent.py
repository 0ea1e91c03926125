"""The outer loop: join, take run leases, start jobs, drain."""

import asyncio
import contextlib
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from runpass import __version__
from runpass.clock import SYSTEM_CLOCK, Clock
from runpass.errors import ConfigurationError, RunpassError, Unauthenticated
from runpass.protocol.registration import Isolation, Registered, Registration
from runpass.protocol.run_lease import RunLease
from runpass.runner import children, kept_key
from runpass.runner.cell import Isolator
from runpass.runner.connection_tests import ConnectionTests
from runpass.runner.control_plane import ControlPlane, TemporaryFailure, checked_url
from runpass.runner.credentials.vault_oidc import VaultPools
from runpass.runner.free_space import FreeSpace
from runpass.runner.isolation import open_isolation
from runpass.runner.job import Job, Workbench
from runpass.runner.limits import limits_of
from runpass.runner.processes import adopts_orphans, harden, hidden_from_others
from runpass.runner.settings import RunnerSettings
from runpass.runner.stop import Reason, Stop
from runpass.runner.workspace import WorkspaceRoot
from runpass.secret import Secret

log = structlog.get_logger()
LONGEST_PAUSE_SECONDS: Final = 10.0
REAP_SECONDS: Final = 1.0
SHORTEST_POLL_SECONDS: Final = 0.5
"""A server that says "nothing" sooner than this (it is going down, say) is not asked again at once."""


class Agent:
    """A runner at work."""

    def __init__(self, bench: Workbench, capacity: int) -> None:
        self._bench = bench
        self._capacity = capacity
        self._slots = asyncio.Semaphore(capacity)
        self._jobs: dict[asyncio.Task[None], Stop] = {}
        self._taking: asyncio.Task[None] | None = None
        self._signals = 0

    async def run(self) -> None:
        """Take and run leases until drained. Raises `Unauthenticated` when the server no longer knows this runner."""
        self._taking = asyncio.create_task(self._take_leases())
        tests = ConnectionTests(self._bench.control_plane, self._bench.settings.ca_bundle, self._bench.clock)
        testing = asyncio.create_task(tests.take_again_and_again())
        try:
            await asyncio.wait({self._taking})
            testing.cancel()
            await self._all_jobs()
        except asyncio.CancelledError:
            self._taking.cancel()
            self.end_jobs(Reason.SHUTDOWN, at_once=True)
            await self._all_jobs()
            raise
        finally:
            testing.cancel()
            await asyncio.gather(testing, return_exceptions=True)
        if not self._taking.cancelled():
            self._taking.result()

    def heed_signal(self) -> None:
        """First time: take no more and let runs go on for `drain_seconds`. Second time: end them now."""
        self._signals += 1
        if self._signals > 1:
            self.end_jobs(Reason.SHUTDOWN, at_once=True)
            return
        log.info("runner_drains", runs=len(self._jobs))
        if self._taking is not None:
            self._taking.cancel()
        drain = self._bench.settings.drain_seconds
        asyncio.get_running_loop().call_later(drain, self.end_jobs, Reason.SHUTDOWN)

    def end_jobs(self, reason: Reason, *, at_once: bool = False) -> None:
        """Tell every run to end."""
        for stop in self._jobs.values():
            stop.ask(reason, at_once=at_once)

    async def _all_jobs(self) -> None:
        while self._jobs:
            await asyncio.wait(set(self._jobs))

    async def _take_leases(self) -> None:
        pause, room = 0.2, FreeSpace(self._bench.settings.work_dir, self._bench.settings.least_free_mib)
        while True:
            await self._slots.acquire()
            await room.wait()
            try:
                lease = await self._ask_for_work()
            except Unauthenticated:
                self.end_jobs(Reason.LOST)
                raise
            except RunpassError as error:
                log.warning("no_lease", error=error.message, again_in_seconds=round(pause, 1))
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                lease = None
            else:
                pause = 0.2
            if lease is None:
                self._slots.release()
            else:
                self._start(lease)

    async def _ask_for_work(self) -> RunLease | None:
        asked_at = self._bench.clock.monotonic()
        lease = await self._bench.control_plane.next_lease()
        if lease is None and self._bench.clock.monotonic() - asked_at < SHORTEST_POLL_SECONDS:
            await asyncio.sleep(SHORTEST_POLL_SECONDS)
        return lease

    def _start(self, lease: RunLease) -> None:
        stop = Stop()
        job = asyncio.create_task(self._run(lease, stop))
        self._jobs[job] = stop
        job.add_done_callback(self._ended)

    async def _run(self, lease: RunLease, stop: Stop) -> None:
        try:
            await Job(lease, self._bench, stop).run()
        except Exception:
            log.exception("job_failed", deployment=str(lease.run.deployment_id))

    def _ended(self, job: asyncio.Task[None]) -> None:
        del self._jobs[job]
        self._slots.release()


async def run_runner(settings: RunnerSettings, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Be a runner until told to stop: by SIGTERM or SIGINT in the main thread, or by cancelling.

    Raises `ConfigurationError` if it cannot start, `Unauthenticated` when its key or join token is not known.
    """
    async with contextlib.AsyncExitStack() as closing:
        kept_key.open_state_dir(settings.state_dir)
        control_plane = ControlPlane(settings.url, ca_bundle=settings.ca_bundle)
        closing.push_async_callback(control_plane.aclose)
        limits = limits_of(settings)
        isolator = open_isolation(settings, limits)
        closing.callback(isolator.close)
        workspaces = WorkspaceRoot(settings.work_dir, for_others=isolator.kind is Isolation.UID)
        closing.callback(workspaces.close)
        await asyncio.to_thread(_reclaim, settings, isolator, workspaces)
        vaults = VaultPools(settings.ca_bundle)
        closing.callback(vaults.close)
        capacity = isolator.limit(settings.capacity)
        with _on_signal(_cancel_this_task()):
            registered = await _join(settings, control_plane, isolator, capacity)
        seconds = registered.lease_seconds
        bench = Workbench(settings, control_plane, isolator, workspaces, vaults, clock, seconds, limits)
        agent = Agent(bench, capacity)
        log.info(
            "runner_started",
            runner=str(registered.runner_id),
            name=settings.name,
            isolation=isolator.kind.value,
            why=isolator.why,
            capacity=capacity,
        )
        if isolator.kind is Isolation.NONE:
            log.warning("runs_are_not_isolated", why=isolator.why)
        if isolator.kind is Isolation.UID and not hidden_from_others():
            log.warning(
                "command_lines_are_visible", why="/proc is not mounted with hidepid=2, so runs see each other's."
            )
        closing.push_async_callback(_cancel, asyncio.create_task(_reap_orphans()))
        with _on_signal(agent.heed_signal):
            await agent.run()
    log.info("runner_stopped")


async def _reap_orphans() -> None:
    """Reap, again and again, what jobs left and has ended. Only a process that is nothing but a runner adopts it."""
    while adopts_orphans():
        await asyncio.sleep(REAP_SECONDS)
        children.reap_orphans()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _reclaim(settings: RunnerSettings, isolator: Isolator, workspaces: WorkspaceRoot) -> None:
    """End and remove what an earlier runner left: first the processes, then their workspaces."""
    isolator.reclaim(settings.work_dir)
    left = workspaces.reclaim()
    if left:
        log.warning("leftovers_removed", runs=left)


async def _join(settings: RunnerSettings, control_plane: ControlPlane, isolator: Isolator, capacity: int) -> Registered:
    server = checked_url(settings.url)
    registered = kept_key.load(settings.state_dir, server)
    if registered is None:
        join_token = settings.read_join_token()
        if not join_token:
            raise ConfigurationError(
                "this runner has no key yet and no join token to get one",
                hint="Make a join token at the server and set RUNPASS_JOIN_TOKEN or RUNPASS_JOIN_TOKEN_FILE.",
            )
        registration = Registration(name=settings.name, version=__version__, isolation=isolator.kind, capacity=capacity)
        registered = await _register(control_plane, join_token, registration)
        kept_key.keep(settings.state_dir, server, registered)
    control_plane.use_key(registered.runner_key)
    return registered


async def _register(control_plane: ControlPlane, join_token: Secret, registration: Registration) -> Registered:
    """Join, and wait for a server that is not up yet."""
    pause = 0.2
    while True:
        try:
            return await control_plane.register(join_token, registration)
        except TemporaryFailure as error:
            log.warning("not_joined", error=error.message, again_in_seconds=round(pause, 1))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _cancel_this_task() -> Callable[[], object]:
    task = asyncio.current_task()
    return task.cancel if task else lambda: None


@contextlib.contextmanager
def _on_signal(react: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    for number in numbers:
        loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def main(settings: RunnerSettings) -> None:
    """Be a runner in a process of its own, hardened, until told to stop."""
    harden()

    async def run() -> None:
        # A Vault that does not answer holds threads; cleanups need some all the same.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8 + 4 * settings.capacity))
        await run_runner(settings)

    with contextlib.suppress(asyncio.CancelledError):  # told to stop before it had begun
        asyncio.run(run())
