import asyncio

import pytest

from runpass.clock import SYSTEM_CLOCK
from runpass.errors import StaleLease
from runpass.protocol.reports import MAX_EVENTS, MAX_LEAKS, MAX_MESSAGE, LogLevel, StepStatus
from runpass.runner.control_plane import TemporaryFailure
from runpass.runner.reporter import WAITING_CHARACTERS, Reporter
from runpass.runner.stop import Stop


class Server:
    """Takes reports, or fails as often as told."""

    def __init__(self, *failures):
        self.reports = []
        self.failures = list(failures)
        self.may_take = asyncio.Event()
        self.may_take.set()

    async def send(self, report):
        await self.may_take.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.reports.append(report)

    @property
    def messages(self):
        return [event.message for report in self.reports for event in report.events]


def reporter_of(server):
    stop = Stop()
    return Reporter(server.send, 7, stop, SYSTEM_CLOCK), stop


async def deliver(reporter):
    await reporter.close()
    await reporter.ship()


def test_events_arrive_in_order_and_are_numbered_within_their_step():
    async def story():
        server = Server()
        reporter, _ = reporter_of(server)
        for step, line in (("a", "1"), ("b", "2"), ("a", "3")):
            await reporter.log(step, LogLevel.INFO, line)
        await deliver(reporter)
        events = [event for report in server.reports for event in report.events]
        assert [(event.step, event.number, event.message) for event in events] == [
            ("a", 1, "1"),
            ("b", 1, "2"),
            ("a", 2, "3"),
        ]

    asyncio.run(story())


def test_long_lines_are_split_and_many_lines_make_several_reports():
    async def story():
        server = Server()
        reporter, _ = reporter_of(server)
        await reporter.log("a", LogLevel.INFO, "x" * (MAX_MESSAGE + 1))
        for _ in range(MAX_EVENTS + 1):
            await reporter.log("a", LogLevel.INFO, "y")
        await deliver(reporter)
        assert [len(message) for message in server.messages[:2]] == [MAX_MESSAGE, 1]
        assert [len(report.events) for report in server.reports] == [MAX_EVENTS, 3]

    asyncio.run(story())


def test_a_server_with_trouble_of_its_own_gets_the_same_report_again():
    async def story():
        server = Server(TemporaryFailure("503"), TemporaryFailure("503"))
        reporter, _ = reporter_of(server)
        await reporter.log("a", LogLevel.INFO, "line")
        await deliver(reporter)
        assert server.messages == ["line"]

    asyncio.run(story())


def test_a_lost_lease_stops_the_run_and_nothing_more_is_sent():
    async def story():
        server = Server(StaleLease("lost"))
        reporter, stop = reporter_of(server)
        await reporter.log("a", LogLevel.INFO, "line")
        await reporter.ship()
        assert stop.lost
        await reporter.log("a", LogLevel.INFO, "never")
        assert server.messages == []

    asyncio.run(story())


def test_whoever_logs_waits_while_the_server_is_behind():
    async def story():
        server = Server()
        server.may_take.clear()
        reporter, _ = reporter_of(server)
        shipping = asyncio.create_task(reporter.ship())

        async def chatter():
            for _ in range(3 * WAITING_CHARACTERS // MAX_MESSAGE):
                await reporter.log("a", LogLevel.INFO, "x" * MAX_MESSAGE)

        chatting = asyncio.create_task(chatter())
        _, waiting = await asyncio.wait({chatting}, timeout=0.3)
        assert waiting
        server.may_take.set()
        await chatting
        await reporter.close()
        await shipping
        assert len(server.messages) == 3 * WAITING_CHARACTERS // MAX_MESSAGE

    asyncio.run(story())


def test_a_step_keeps_its_place_and_its_times():
    async def story():
        server = Server()
        reporter, _ = reporter_of(server)
        for name in ("setup", "shell:1", "shell:2"):
            reporter.step(name, StepStatus.NOT_STARTED)
        reporter.step("setup", StepStatus.IN_PROGRESS)
        reporter.step("setup", StepStatus.SUCCESS)
        reporter.step("shell:1", StepStatus.IN_PROGRESS)
        assert reporter.current_step == "shell:1"
        reporter.end_steps(StepStatus.FAIL, StepStatus.SKIPPED)
        await deliver(reporter)
        steps = {step.name: step for report in server.reports for step in report.steps}
        assert [(step.order, step.status) for step in steps.values()] == [
            (0, StepStatus.SUCCESS),
            (1, StepStatus.FAIL),
            (2, StepStatus.SKIPPED),
        ]
        assert steps["setup"].started_at <= steps["setup"].completed_at
        assert steps["shell:2"].started_at is None

    asyncio.run(story())


def test_an_error_nobody_expected_ends_the_run_instead_of_hanging_it():
    async def story():
        server = Server(ValueError("surprise"))
        reporter, stop = reporter_of(server)
        await reporter.log("a", LogLevel.INFO, "line")
        await asyncio.wait_for(reporter.ship(), 5)
        assert stop.lost

    asyncio.run(story())


@pytest.mark.parametrize("status", [StepStatus.TIMEOUT, StepStatus.CANCELLED])
def test_the_step_that_was_going_on_ends_as_the_run_did(status):
    async def story():
        server = Server()
        reporter, _ = reporter_of(server)
        reporter.step("shell:1", StepStatus.IN_PROGRESS)
        reporter.end_steps(status, StepStatus.SKIPPED)
        await deliver(reporter)
        assert server.reports[-1].steps[-1].status is status

    asyncio.run(story())


def test_a_leak_is_told_once_for_each_secret_and_step_and_no_more_than_so_many():
    async def story():
        server = Server()
        reporter, _ = reporter_of(server)
        for _ in range(3):
            await reporter.leak("a", "DB_PASSWORD")
            await reporter.leak("b", "DB_PASSWORD")
        for number in range(MAX_LEAKS):
            await reporter.leak("c", f"NAME_{number}" + "x" * 300)
        await deliver(reporter)
        leaks = [leak for report in server.reports for leak in report.leaks]
        assert [(leak.step, leak.secret) for leak in leaks[:2]] == [("a", "DB_PASSWORD"), ("b", "DB_PASSWORD")]
        assert len(leaks) == MAX_LEAKS
        assert server.messages[0] == "Masked: DB_PASSWORD was printed in this step."
        assert len(server.messages) == MAX_LEAKS

    asyncio.run(story())
