"""Passwords: which are taken, that one text has one hash, and that only a few are worked on at once."""

import asyncio
import threading

import pytest
from argon2.profiles import CHEAPEST
from hypothesis import given, settings
from hypothesis import strategies as st

from runpass.errors import TooManyRequests
from runpass.secret import Secret
from runpass.server.access.passwords import AT_ONCE, LEAST_LENGTH, MOST_LENGTH, MOST_WAITING, Passwords, problem_with

GOOD = "stapled horses gallop"


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("x" * (LEAST_LENGTH - 1), "at least 12"),
        ("", "at least 12"),
        ("ab c" * 400, "at most 1024"),
        ("PasswordPassword", "first"),
        ("aaaaaaaaaaaaaaaa", "first"),
        ("121212121212", "first"),
        ("ann.smith@example.com", "own name"),
        ("Ann.Smith1234567", "own name"),
        ("ann.smithann.smith", "own name"),
        ("\ufb03" * 3, "at least 12"),
    ],
)
def test_what_everybody_would_try_first_is_not_taken(password: str, said: str):
    assert said in (problem_with(Secret(password), "Ann.Smith@example.com", "Ann Smith") or "")


@pytest.mark.parametrize(
    "password", [GOOD, "ann.smith has 3 cats", "      seven  ", "пароль из слов", "🐎🔋📎🐎🔋📎🦆🐎🔋📎🐎🔋"]
)
def test_nothing_but_length_is_asked_of_any_other(password: str):
    assert problem_with(Secret(password), "Ann.Smith@example.com") is None


def passwords() -> Passwords:
    return Passwords(CHEAPEST)


def test_the_right_one_matches_and_nothing_else_does():
    async def tried() -> list[bool]:
        here = passwords()
        stored = await here.hashed(Secret(GOOD))
        others = (GOOD.upper(), GOOD + " ", "", GOOD + "x" * MOST_LENGTH)
        right = [await here.matches(Secret(GOOD), stored)]
        wrong = [await here.matches(Secret(other), stored) for other in others]
        nothing_stored = [await here.matches(Secret(GOOD), stored) for stored in (None, "", "no hash")]
        return right + wrong + nothing_stored

    assert asyncio.run(tried()) == [True] + [False] * 7


def test_however_a_letter_is_composed_the_password_is_the_same():
    async def tried() -> bool:
        here = passwords()
        return await here.matches(Secret("zoe\u0308 rides horses"), await here.hashed(Secret("zo\u00eb rides horses")))

    assert asyncio.run(tried())


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_any_text_is_hashed_and_found_again(text: str):
    async def tried() -> bool:
        here = passwords()
        return await here.matches(Secret(text), await here.hashed(Secret(text)))

    assert asyncio.run(tried())


class Counting(Passwords):
    """Counts how many are worked on at the same moment."""

    def __init__(self) -> None:
        super().__init__(CHEAPEST)
        self.most = self.now = 0
        self.lock = threading.Lock()

    def _matches(self, password: Secret, stored: str | None) -> bool:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return super()._matches(password, stored)
        finally:
            with self.lock:
                self.now -= 1


def test_of_two_hundred_sign_ins_at_once_those_that_find_a_place_are_worked_on_two_by_two():
    async def tried() -> tuple[Counting, int]:
        here = Counting()
        tries = (here.matches(Secret(GOOD), None) for _ in range(200))
        found = await asyncio.gather(*tries, return_exceptions=True)
        return here, sum(isinstance(item, TooManyRequests) for item in found)

    here, refused = asyncio.run(tried())
    assert 1 <= here.most <= AT_ONCE
    assert refused == 200 - MOST_WAITING
