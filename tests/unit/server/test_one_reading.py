"""What many ask for at the same moment is read once, and a refusal is nobody else's."""

import asyncio
from datetime import timedelta

import pytest

from factories import MovingClock
from runpass.errors import Unauthenticated
from runpass.server.deployments.one_reading import OneReading


class _Reader:
    """Reads when it is let, and counts how often."""

    def __init__(self) -> None:
        self.readings = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.readings += 1
        number = self.readings
        await self.go_on.wait()
        if self.error:
            raise self.error
        return f"reading {number}"


def test_all_who_come_during_a_reading_get_what_it_gave_for_a_second():
    async def ask() -> None:
        clock = MovingClock()
        shared: OneReading[str, str] = OneReading(clock)
        read = _Reader()
        asked = [asyncio.create_task(shared.get("a", read)) for _ in range(5)]
        await asyncio.sleep(0)
        read.go_on.set()
        assert set(await asyncio.gather(*asked)) == {"reading 1"}
        assert await shared.get("a", read) == "reading 1"
        assert await shared.get("b", read) == "reading 2"
        clock.advance(timedelta(seconds=1))
        assert await shared.get("a", read) == "reading 3"

    asyncio.run(ask())


def test_whoever_waited_for_a_refusal_reads_by_himself():
    async def ask() -> None:
        shared: OneReading[str, str] = OneReading(MovingClock())
        refused, served = _Reader(), _Reader()
        refused.error = Unauthenticated("not you")
        first = asyncio.create_task(shared.get("a", refused))
        await asyncio.sleep(0)
        others = [asyncio.create_task(shared.get("a", served)) for _ in range(2)]
        refused.go_on.set()
        served.go_on.set()
        with pytest.raises(Unauthenticated):
            await first
        assert await asyncio.gather(*others) == ["reading 1", "reading 2"]

    asyncio.run(ask())


def test_a_reading_that_took_long_is_not_shared():
    async def ask() -> None:
        clock = MovingClock()
        shared: OneReading[str, str] = OneReading(clock)
        read = _Reader()
        asked = [asyncio.create_task(shared.get("a", read)) for _ in range(2)]
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=1))
        read.go_on.set()
        assert await asyncio.gather(*asked) == ["reading 1", "reading 2"]

    asyncio.run(ask())


def test_whoever_goes_away_during_the_reading_leaves_nobody_waiting():
    async def ask() -> str:
        shared: OneReading[str, str] = OneReading(MovingClock())
        read = _Reader()
        gone = asyncio.create_task(shared.get("a", read))
        await asyncio.sleep(0)
        stays = asyncio.create_task(shared.get("a", read))
        await asyncio.sleep(0)
        gone.cancel()
        read.go_on.set()
        return await stays

    assert asyncio.run(ask()) == "reading 2"
