"""The runner's door to tasks at Vaults, beside that of run leases."""

from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import StaleLease
from runpass.ids import VaultTaskId
from runpass.protocol.vault_tasks import TASK_SECRET_HEADER, TestReport
from runpass.protocol.version import PREFIX
from runpass.protocol.wire import decode
from runpass.secret import Secret
from runpass.server.deployments.runner_door import RunnerDoor, Waiting
from runpass.server.vault_tasks.connection_tests import TestRules, finish_test, take_test

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
        ]

    async def take(self, request: Request) -> Response:
        """Give the next task, waiting for one up to `wait` seconds; 204 when there is none."""
        return await self._door.wait_for(request, self._waiting, lambda runner: take_test(self._rules, runner))

    async def finish(self, request: Request) -> Response:
        """Take what a runner found."""
        runner = await self._door.runner(request)
        report = decode(TestReport, await request.body())
        try:
            task_id = VaultTaskId(UUID(request.path_params["task_id"]))
        except ValueError as error:
            raise StaleLease("this task is not held by the caller, or no longer") from error
        secret = Secret(request.headers.get(TASK_SECRET_HEADER, ""))
        await run_in_threadpool(finish_test, self._rules, runner, task_id, secret, report)
        return Response(status_code=204)
