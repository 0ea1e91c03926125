"""What was read a moment ago, and questions that are answered together."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from factories import MovingClock
from runpass.server.deployments.known import Known
from runpass.server.deployments.together import MOST, Together

ALMOST = timedelta(seconds=0.9)


def test_what_was_read_is_known_for_a_second_from_when_the_reading_began():
    clock = MovingClock()
    known: Known[str, int] = Known(clock)
    began = known.began()
    clock.advance(ALMOST)
    known.keep("a", 1, began)
    assert (known.find("a"), known.find("b")) == (1, None)
    clock.advance(timedelta(seconds=0.1))
    assert known.find("a") is None


def test_a_clock_that_is_put_back_makes_nothing_young_again():
    clock = MovingClock()
    known: Known[str, int] = Known(clock)
    known.keep("a", 1, known.began())
    clock.advance(-ALMOST)
    assert known.find("a") is None


def test_what_has_grown_old_takes_no_memory():
    clock = MovingClock()
    known: Known[int, int] = Known(clock)
    for number in range(100):
        known.keep(number, number, known.began())
    clock.advance(timedelta(seconds=1))
    known.keep(100, 100, known.began())
    assert len(known) == 1


def test_one_alone_is_answered_at_once_and_those_who_wait_go_together():
    sizes: list[int] = []
    go_on = threading.Event()

    def answer(questions: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(questions))
        go_on.wait(30)
        return [ValueError(str(number)) if number == 5 else number * 2 for number in questions]

    async def ask() -> list[int | BaseException]:
        together = Together(answer)
        asked = []
        for number in range(2 * MOST):
            asked.append(asyncio.create_task(together.ask(number)))
            if number < 2:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())
    assert [item for number, item in enumerate(answers) if number != 5] == [n * 2 for n in range(2 * MOST) if n != 5]
    assert isinstance(answers[5], ValueError)
    assert (sizes[0], sum(sizes)) == (1, 2 * MOST)
    assert max(sizes) == MOST


def test_a_failure_of_the_thread_is_everybodys():
    def answer(questions: Sequence[int]) -> list[int | Exception]:
        raise OSError(len(questions))

    async def ask() -> None:
        together: Together[int, int] = Together(answer)
        both = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
        assert [type(item) for item in both] == [OSError, OSError]
        with pytest.raises(OSError, match="1"):
            await together.ask(3)

    asyncio.run(ask())


def test_who_went_away_is_not_waited_for():
    go_on = threading.Event()

    def answer(questions: Sequence[int]) -> list[int | Exception]:
        go_on.wait(30)
        return list(questions)

    async def ask() -> int:
        together: Together[int, int] = Together(answer)
        gone, stays = asyncio.create_task(together.ask(1)), asyncio.create_task(together.ask(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        go_on.set()
        return await stays

    assert asyncio.run(ask()) == 2
