"""The runner's door: plain Starlette routes below `/runner/v1`, in the words of `runpass.protocol`."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, StaleLease, TooManyRequests, Unauthenticated
from runpass.ids import OrganizationId, RunLeaseId, VaultLoginId
from runpass.protocol.identity import IdentityRequest
from runpass.protocol.registration import Registered, Registration
from runpass.protocol.reports import Finish, Report
from runpass.protocol.run_lease import Heartbeat
from runpass.protocol.vault_logins import LoginReport
from runpass.protocol.version import LEASE_SECRET_HEADER, PREFIX, PROTOCOL_VERSION, VERSION_HEADER
from runpass.protocol.wire import decode, encode
from runpass.secret import Secret
from runpass.server.access.bearers import digest
from runpass.server.deployments import run_leases
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.one_reading import OneReading
from runpass.server.deployments.run_leases import Holder, LeaseRules
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.runners.joining import register, runner_of
from runpass.server.runners.model import Runner

RETRY_SECONDS: Final = 5


class RunnerDoor:
    """Everything a runner may ask of the server."""

    def __init__(
        self,
        rules: LeaseRules,
        passport: Passport,
        wakeups: Wakeups,
        *,
        longest_wait: float,
        most_waiting: int = 256,
    ) -> None:
        self._rules = rules
        self._passport = passport
        self._wakeups = wakeups
        self._longest_wait = longest_wait
        self._waiting = Waiting(most_waiting)
        self._runners: OneReading[bytes, Runner] = OneReading(rules.clock)

    def routes(self) -> list[Route]:
        """Give the routes."""
        lease = f"{PREFIX}/run-leases/{{lease_id}}"
        return [
            Route(f"{PREFIX}/register", self.register, methods=["POST"]),
            Route(f"{PREFIX}/run-leases", self.take, methods=["POST"]),
            Route(f"{lease}/heartbeat", self.heartbeat, methods=["POST"]),
            *self.minting_routes(),
            Route(f"{lease}/report", self.report, methods=["POST"]),
            Route(f"{lease}/vault-logins/{{login_id}}", self.vault_login, methods=["POST"]),
            Route(f"{lease}/finish", self.finish, methods=["POST"]),
        ]

    def minting_routes(self) -> list[Route]:
        """Give those of the routes at which tokens are minted."""
        return [Route(f"{PREFIX}/run-leases/{{lease_id}}/identity-token", self.identity_token, methods=["POST"])]

    async def register(self, request: Request) -> Response:
        """Exchange a join token for a runner key."""
        token = bearer(request)
        registration = decode(Registration, await request.body())
        joined = await run_in_threadpool(register, self._rules.database, token, registration, self._rules.clock)
        answer = Registered(
            runner_id=joined.runner.id,
            runner_key=joined.key,
            organization_id=joined.runner.organization_id,
            pool=joined.runner.pool,
            lease_seconds=self._rules.lifetime.total_seconds(),
        )
        return _json(answer)

    async def take(self, request: Request) -> Response:
        """Give the next run lease, waiting for one up to `wait` seconds; 204 when there is none."""
        return await self.wait_for(request, self._waiting, lambda runner: run_leases.take(self._rules, runner))

    async def wait_for(
        self, request: Request, waiting: "Waiting", take: Callable[[Runner], BaseModel | None]
    ) -> Response:
        """Give what `take` gives for the runner that asks, or 204 once `wait` seconds have passed with nothing.

        Raises `TooManyRequests` where `waiting` counts too many already.
        """
        runner = await self.runner(request)
        clock = self._rules.clock
        deadline = clock.monotonic() + _wait(request, self._longest_wait)
        with waiting.one_of(runner.organization_id), self._wakeups.listen(runner.pool_id) as listener:
            while True:
                found = await run_in_threadpool(take, runner)
                if found is not None:
                    return _json(found)
                left = deadline - clock.monotonic()
                if left <= 0 or self._wakeups.closed or await listener.wait(left, lambda: _disconnected(request)):
                    return Response(status_code=204)

    async def heartbeat(self, request: Request) -> Response:
        """Keep a lease."""
        runner = await self.runner(request)
        body = decode(Heartbeat, await request.body())
        holder = _holder(request, runner, body.fencing_token)
        return _json(await run_in_threadpool(run_leases.heartbeat, self._rules, holder))

    async def identity_token(self, request: Request) -> Response:
        """Mint a workload identity token."""
        runner = await self._known_runner(request)
        body = decode(IdentityRequest, await request.body())
        holder = _holder(request, runner, body.fencing_token)
        return _json(await self._passport.issue_soon(self._passport.by_runner(holder, body.purpose)))

    async def report(self, request: Request) -> Response:
        """Store steps and log events."""
        runner = await self.runner(request)
        body = decode(Report, await request.body())
        holder = _holder(request, runner, body.fencing_token)
        await run_in_threadpool(run_leases.save_report, self._rules, holder, body)
        return Response(status_code=204)

    async def vault_login(self, request: Request) -> Response:
        """Keep what a login of a run gave."""
        runner = await self.runner(request)
        body = decode(LoginReport, await request.body())
        holder = _holder(request, runner, body.fencing_token)
        login_id = VaultLoginId(_id_of(request, "login_id"))
        await run_in_threadpool(run_leases.save_login, self._rules, holder, login_id, body)
        return Response(status_code=204)

    async def finish(self, request: Request) -> Response:
        """End a run."""
        runner = await self.runner(request)
        body = decode(Finish, await request.body())
        holder = _holder(request, runner, body.fencing_token)
        deployment = await run_in_threadpool(run_leases.finish, self._rules, holder, body)
        self._wakeups.work_arrived(deployment.pool_id)
        return Response(status_code=204)

    async def runner(self, request: Request) -> Runner:
        """Give who asks. Raises `Unauthenticated` for an unknown key, `Conflict` for another protocol."""
        _check_version(request)
        return await run_in_threadpool(_read, self._rules, bearer(request))

    async def _known_runner(self, request: Request) -> Runner:
        """Give who asks, as `runner` does, or who that was a moment ago.

        SECURITY: only for a mint, which looks at the lease and at its runner once more.
        """
        _check_version(request)
        return await self._runners.get(digest(bearer(request)), lambda: self.runner(request))


class Waiting:
    """How many runners of each organization wait at this server process, and no more than `most` of one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[OrganizationId] = Counter()

    @contextmanager
    def one_of(self, organization_id: OrganizationId) -> Iterator[None]:
        """Count one more while it waits. Raises `TooManyRequests` when there are so many already."""
        if self._counts[organization_id] >= self._most:
            raise TooManyRequests(
                "more runners of this organization wait for work than this server allows",
                retry_after_seconds=RETRY_SECONDS,
                hint="the operator can raise max_waiting_runners",
            )
        self._counts[organization_id] += 1
        try:
            yield
        finally:
            self._counts -= Counter([organization_id])  # forgets it at zero


def bearer(request: Request) -> Secret:
    """Give the bearer of a request (RFC 6750, section 2.1). Raises `Unauthenticated` when there is none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise Unauthenticated("this needs a bearer: a runner key, or a join token to register")
    return Secret(value)


def _check_version(request: Request) -> None:
    spoken = request.headers.get(VERSION_HEADER)
    if spoken is not None and spoken != str(PROTOCOL_VERSION):
        raise Conflict(
            f"the runner speaks another protocol than this server, which speaks {PROTOCOL_VERSION}",
            hint="give both the same version of runpass",
        )


def _holder(request: Request, runner: Runner, fencing_token: int) -> Holder:
    secret = Secret(request.headers.get(LEASE_SECRET_HEADER, ""))
    return Holder(runner, RunLeaseId(_id_of(request, "lease_id")), secret, fencing_token)


def _id_of(request: Request, name: str) -> UUID:
    try:
        return UUID(request.path_params[name])
    except ValueError as error:
        raise StaleLease("this run lease is not held by the caller, or no longer") from error


def _read(rules: LeaseRules, key: Secret) -> Runner:
    with rules.database.read() as tx:
        return runner_of(tx, key)


async def _disconnected(request: Request) -> None:
    """Return once the client is gone; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _wait(request: Request, longest: float) -> float:
    try:
        asked = float(request.query_params.get("wait", "0"))
    except ValueError:
        return 0.0
    return min(max(asked, 0.0), longest) if math.isfinite(asked) else 0.0


def _json(record: BaseModel) -> Response:
    return Response(encode(record), media_type="application/json")
