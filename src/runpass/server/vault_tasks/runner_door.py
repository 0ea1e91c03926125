"""The runner's door to tasks at Vaults, beside that of run leases."""

from typing import Final
from uuid import UUID

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import StaleLease
from runpass.ids import VaultLoginId, VaultTaskId
from runpass.protocol.key_checks import KEY_CHECKS_PARAMETER, KeyCheckReport
from runpass.protocol.sweeps import SWEEPS_PARAMETER, SweepReport
from runpass.protocol.vault_tasks import TASK_SECRET_HEADER, TestReport
from runpass.protocol.version import PREFIX
from runpass.protocol.wire import decode
from runpass.secret import Secret
from runpass.server.deployments.runner_door import RunnerDoor, Waiting
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks.connection_tests import TestRules, finish_test, take_test
from runpass.server.vault_tasks.key_checks import finish_key_check, take_key_check
from runpass.server.vault_tasks.sweeps import finish_sweep, take_sweep

TASKS: Final = f"{PREFIX}/vault-tasks"


class TaskDoor:
    """What a runner may ask of the server about tasks; it waits for them as it waits for run leases."""

    def __init__(self, rules: TestRules, door: RunnerDoor, *, most_waiting: int) -> None:
        self._rules = rules
        self._door = door
        self._waiting = Waiting(most_waiting)

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route(TASKS, self.take, methods=["POST"]),
            Route(f"{TASKS}/{{task_id}}/finish", self.finish, methods=["POST"]),
            Route(f"{TASKS}/{{task_id}}/swept", self.swept, methods=["POST"]),
            Route(f"{TASKS}/{{task_id}}/checked", self.checked, methods=["POST"]),
        ]

    async def take(self, request: Request) -> Response:
        """Give the next task, waiting for one up to `wait` seconds; 204 when there is none."""
        sweeps = request.query_params.get(SWEEPS_PARAMETER) == "true"
        checks = request.query_params.get(KEY_CHECKS_PARAMETER) == "true"
        return await self._door.wait_for(
            request, self._waiting, lambda runner: self._next(runner, sweeps=sweeps, checks=checks)
        )

    async def finish(self, request: Request) -> Response:
        """Take what a runner found."""
        runner = await self._door.runner(request)
        report = decode(TestReport, await request.body())
        task_id, secret = _named(request)
        await run_in_threadpool(finish_test, self._rules, runner, VaultTaskId(task_id), secret, report)
        return Response(status_code=204)

    async def swept(self, request: Request) -> Response:
        """Take what a runner saw and did when it swept a token."""
        runner = await self._door.runner(request)
        report = decode(SweepReport, await request.body())
        task_id, secret = _named(request)
        await run_in_threadpool(finish_sweep, self._rules, runner, VaultLoginId(task_id), secret, report)
        return Response(status_code=204)

    async def checked(self, request: Request) -> Response:
        """Take what a Vault answered to a token that nobody signed."""
        runner = await self._door.runner(request)
        report = decode(KeyCheckReport, await request.body())
        task_id, secret = _named(request)
        await run_in_threadpool(finish_key_check, self._rules, runner, VaultTaskId(task_id), secret, report)
        return Response(status_code=204)

    def _next(self, runner: Runner, *, sweeps: bool, checks: bool) -> BaseModel | None:
        """Give the next task: tokens that are left behind come first, then tests that somebody waits for."""
        found = (take_sweep(self._rules, runner) if sweeps else None) or take_test(self._rules, runner)
        return found or (take_key_check(self._rules, runner) if checks else None)


def _named(request: Request) -> tuple[UUID, Secret]:
    try:
        task_id = UUID(request.path_params["task_id"])
    except ValueError as error:
        raise StaleLease("this task is not held by the caller, or no longer") from error
    return task_id, Secret(request.headers.get(TASK_SECRET_HEADER, ""))
