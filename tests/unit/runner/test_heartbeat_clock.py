"""A machine's clock that is set, by a day in either direction, ends no run and keeps no lost lease."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from runpass.errors import StaleLease
from runpass.ids import new_id
from runpass.protocol.run_lease import HeartbeatAnswer, Wish
from runpass.runner.control_plane import TemporaryFailure
from runpass.runner.heartbeat import Heartbeats
from runpass.runner.stop import Reason, Stop

LEASE_SECONDS = 0.3
START = datetime(2026, 11, 28, tzinfo=UTC)


class JumpingClock:
    """Measures as the event loop does; on the wall it is whatever it is set to."""

    def __init__(self):
        self.ahead = timedelta(0)

    def now(self):
        return START + timedelta(seconds=self.monotonic()) + self.ahead

    def monotonic(self):
        return asyncio.get_running_loop().time()


class Server:
    """Answers heartbeats by a clock of its own."""

    def __init__(self, clock):
        self.clock, self.failure, self.beats = clock, None, asyncio.Queue()

    async def heartbeat(self, _lease):
        self.beats.put_nowait(None)
        if self.failure is not None:
            raise self.failure
        expires_at = self.clock.now() + timedelta(seconds=LEASE_SECONDS)
        return HeartbeatAnswer(expires_at=expires_at, wish=Wish.GO_ON)


class Lease:
    def __init__(self, expires_at):
        self.lease_id, self.expires_at = new_id(), expires_at


async def beat(jumping, jump, failure=None):
    """Beat until three heartbeats came after the jump; until the lease is lost, if they fail from then on."""
    clocks = {"runner": JumpingClock(), "server": JumpingClock()}
    server, stop = Server(clocks["server"]), Stop()
    lease = Lease(clocks["server"].now() + timedelta(seconds=LEASE_SECONDS))
    beating = asyncio.create_task(Heartbeats(server, lease, LEASE_SECONDS, clocks["runner"]).beat(stop))
    async with asyncio.timeout(20):
        await server.beats.get()
        clocks[jumping].ahead, server.failure = jump, failure
        if failure is not None:
            await stop.asked()
        for _ in range(0 if failure is not None else 3):
            await server.beats.get()
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    return stop


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
@pytest.mark.parametrize("jumping", ["runner", "server"])
def test_a_run_goes_on_whoever_has_the_wrong_time(jumping, jump):
    assert asyncio.run(beat(jumping, jump)).reason is None


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
@pytest.mark.parametrize("failure", [TemporaryFailure("the server is away"), StaleLease("somebody else has it")])
def test_a_lost_lease_is_noticed_whatever_the_clock_says(jump, failure):
    assert asyncio.run(beat("runner", jump, failure)).reason is Reason.LOST


def test_a_run_whose_heartbeats_fail_in_a_way_that_nobody_thought_of_does_not_go_on():
    assert asyncio.run(beat("runner", timedelta(0), RuntimeError("this is no answer"))).reason is Reason.LOST
