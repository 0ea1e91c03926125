"""Waiting rooms: how many wait, that the others are sent away at once, and that every place becomes free again."""

import asyncio

import pytest
from argon2.profiles import CHEAPEST

from runpass.errors import TooManyRequests
from runpass.secret import Secret
from runpass.server.access.logins import Logins
from runpass.server.access.passwords import MOST_WAITING, Passwords
from runpass.server.access.waiting import RETRY_AFTER_SECONDS, WaitingRoom


def test_whoever_finds_no_place_is_told_when_to_come_back():
    room = WaitingRoom(3, most_of_one=2)
    with room.place("a"), room.place("a"):
        with pytest.raises(TooManyRequests) as error, room.place("a"):
            pass
        assert error.value.retry_after_seconds == RETRY_AFTER_SECONDS
        with room.place("b"), pytest.raises(TooManyRequests), room.place("c"):
            pass
        with room.place("c"):
            pass
    with room.place("a"), room.place("a"), room.place("b"):
        pass


def test_a_place_is_free_again_after_a_failure():
    room = WaitingRoom(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.place():
            raise ZeroDivisionError


async def _outcomes(*waiting: asyncio.Task[object]) -> list[bool]:
    """Give of each whether it was refused."""
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(item, TooManyRequests) or not isinstance(item, BaseException) for item in found)
    return [isinstance(item, TooManyRequests) for item in found]


def test_only_so_many_hashes_wait_and_the_next_ones_are_made():
    async def all_at_once() -> None:
        passwords = Passwords(CHEAPEST)
        for _ in range(2):
            tasks = [asyncio.create_task(passwords.hashed(Secret("a word"))) for _ in range(MOST_WAITING + 5)]
            refused = await _outcomes(*tasks)
            assert refused == [False] * MOST_WAITING + [True] * 5

    asyncio.run(all_at_once())


def test_known_callers_need_no_place_in_the_queue_and_one_address_cannot_fill_it():
    async def crowd() -> None:
        logins, go_on = Logins(WaitingRoom(3, most_of_one=2)), asyncio.Event()

        async def sign_in(address: str, password: str) -> None:
            async with logins.turn(address, password):
                await go_on.wait()

        go_on.set()
        await sign_in("known", "right")
        go_on.clear()
        many = [asyncio.create_task(sign_in("one", f"guess {number}")) for number in range(5)]
        others = [asyncio.create_task(sign_in(address, "x")) for address in ("two", "three")]
        known = asyncio.create_task(sign_in("known", "right"))
        await asyncio.sleep(0)
        go_on.set()
        assert await _outcomes(*many) == [False, False, True, True, True]
        assert await _outcomes(*others) == [False, True]
        assert await _outcomes(known) == [False]

    asyncio.run(crowd())
