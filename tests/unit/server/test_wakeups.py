"""Waking runners that wait for work: nothing here waits for time to pass."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta

from runpass.errors import Unavailable
from runpass.ids import PoolId, new_id
from runpass.server.deployments.wakeups import Wakeups

POOL, OTHER = PoolId(new_id()), PoolId(new_id())
LONG = timedelta(hours=1).total_seconds()


async def never() -> None:
    await asyncio.Event().wait()


def play(story: Callable[[Wakeups], Awaitable[None]]) -> None:
    async def run() -> None:
        wakeups = Wakeups()
        wakeups.open()
        async with asyncio.timeout(10):
            await story(wakeups)

    asyncio.run(run())


def test_work_wakes_everybody_who_waits_for_its_pool():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as one, wakeups.listen(POOL) as another:
            waiting = asyncio.gather(one.wait(LONG, never), another.wait(LONG, never))
            await asyncio.sleep(0)
            wakeups.work_arrived(POOL)
            assert await waiting == [False, False]

    play(story)


def test_work_of_another_pool_wakes_nobody():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as mine, wakeups.listen(OTHER) as theirs:
            waiting = asyncio.ensure_future(mine.wait(LONG, never))
            wakeups.work_arrived(OTHER)
            await theirs.wait(LONG, never)
            await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()

    play(story)


def test_work_that_arrives_before_the_waiting_begins_is_not_missed():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as listener:
            wakeups.work_arrived(POOL)
            await asyncio.sleep(0)
            assert await listener.wait(LONG, never) is False

    play(story)


def test_work_can_arrive_from_any_thread():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as listener:
            thread = threading.Thread(target=wakeups.work_arrived, args=(POOL,))
            thread.start()
            assert await listener.wait(LONG, never) is False
            thread.join()

    play(story)


def test_waiting_ends_when_its_time_is_over():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as listener:
            assert await listener.wait(0, never) is False

    play(story)


def test_waiting_ends_when_the_caller_goes_away():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as listener:
            assert await listener.wait(LONG, lambda: asyncio.sleep(0)) is True

    play(story)


def test_a_server_that_stops_lets_everybody_go():
    async def story(wakeups: Wakeups) -> None:
        with wakeups.listen(POOL) as one, wakeups.listen(OTHER) as another:
            waiting = asyncio.gather(one.wait(LONG, never), another.wait(LONG, never))
            wakeups.close()
            assert await waiting == [False, False]
        assert wakeups.closed

    play(story)


def test_work_that_another_process_queued_is_found_and_one_failure_does_not_end_the_looking():
    asked = 0

    async def pools_with_work() -> set[PoolId]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("the database cannot be used right now")
        if asked == 2:
            raise ValueError("nobody thought of this")
        return {POOL}

    async def story(wakeups: Wakeups) -> None:
        looking = asyncio.ensure_future(wakeups.look_elsewhere(pools_with_work))
        with wakeups.listen(POOL) as listener:
            assert await listener.wait(LONG, never) is False
        looking.cancel()

    play(story)
    assert asked == 3


def test_nobody_is_kept_after_the_waiting():
    async def story(wakeups: Wakeups) -> None:
        for _ in range(3):
            with wakeups.listen(POOL) as listener:
                await listener.wait(0, never)
        assert wakeups._waiting == {}  # noqa: SLF001 -- a leak shows nowhere else

    play(story)


def test_work_may_arrive_before_the_server_started_and_after_it_ended():
    wakeups = Wakeups()
    wakeups.work_arrived(POOL)
    wakeups.close()
    play(lambda _: asyncio.sleep(0))
