"""Passwords: which ones are taken, and how they are hashed and compared.

Argon2id (RFC 9106) with the parameters of its second recommended option: 3 passes over 64 MiB in 4 lanes, about 0.2 s.
What is taken follows NIST SP 800-63B, section 3.1.1: length instead of composition rules, and nothing that everybody
would try first. SECURITY: hashing is slow and large on purpose, so only a few go on at once; the others wait without a
thread.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from starlette.concurrency import run_in_threadpool

from runpass.secret import Secret
from runpass.server.access.waiting import WaitingRoom

LEAST_LENGTH: Final = 12
MOST_LENGTH: Final = 1_024
AT_ONCE: Final = 2
"""Hashes that one server process works on at the same moment: 128 MiB."""
MOST_WAITING: Final = 32
"""Those whose password is hashed or waits for it, in one server process: the last one waits a few seconds."""
_LEFT_WITHOUT_NAME: Final = 8
_FEWEST_CHARACTERS: Final = 4
_COMMON_WORDS: Final = """
123456789012 1234567890123 12345678901234 123456789012345 1234567890123456 012345678901 123123123123 123412341234
123456123456 12345678912345 1234567890ab 1234567890qw 987654321098 0987654321098 password1234 password12345
password123456 password123! password1234! passwordpassword password@123 p@ssw0rd1234 p@ssword1234 passw0rd1234
mypassword123 newpassword1 changemechangeme changeme1234 changeme12345 letmeinletmein letmein12345 welcome12345
welcome123456 welcomewelcome qwertyqwerty qwerty123456 qwerty1234567 qwertyuiop12 qwertyuiop123 qwertyuiopasdf
qwertyuiop[] qwertyasdfgh asdfghjkl123 asdfghjklqwe zxcvbnm12345 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc
1qaz2wsx3edc4rfv qazwsxedcrfv q1w2e3r4t5y6 a1b2c3d4e5f6 abcdefghijkl abcdefghijklm abcd1234abcd abc123abc123
abcdef123456 abcdefg12345 iloveyou1234 iloveyouiloveyou adminadminadmin admin1234567 admin12345678 administrator
administrator1 adminpassword rootrootroot root12345678 superuser123 testtesttest test12345678 testpassword
defaultpassword secretsecret secretpassword supersecret1 trustno1trustno1 footballfootball sunshine1234
princess1234 monkeymonkey dragondragon master123456 computer1234 internet1234 correcthorsebatterystaple
vaultvaultvault openbaoopenbao runpassrunpass runpass12345
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())
"""Those of twelve characters and more that lists of leaked passwords begin with; shorter ones are not taken anyway."""


def problem_with(password: Secret, *names: str) -> str | None:
    """Say why this password is not taken from somebody of these names; None if it is."""
    text = _normal(password)
    if len(text) < LEAST_LENGTH:
        return f"must have at least {LEAST_LENGTH} characters"
    if len(text) > MOST_LENGTH:
        return f"must have at most {MOST_LENGTH} characters"
    if text.casefold() in _COMMON or len(set(text)) < _FEWEST_CHARACTERS:
        return "is one that everybody would try first"
    if _left_without(text, names) < _LEFT_WITHOUT_NAME:
        return "must not be made of your own name"
    return None


class Passwords:
    """Hashes and compares, a few at once. One for each server process."""

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = WaitingRoom(MOST_WAITING)
        self._nobody: str | None = None

    async def hashed(self, password: Secret) -> str:
        """Give what is stored of a password. Raises `TooManyRequests` where too many wait already."""
        async with self._place():
            return await run_in_threadpool(self._hasher.hash, _normal(password))

    async def matches(self, password: Secret, stored: str | None) -> bool:
        """Whether this is the password that was stored.

        SECURITY: takes as long where nothing is stored, so that no answer tells which names there are. Raises as
        `hashed`.
        """
        async with self._place():
            return await run_in_threadpool(self._matches, password, stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(stored)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        with self._waiting.place():
            async with self._turn:
                yield

    def _matches(self, password: Secret, stored: str | None) -> bool:
        if len(password.reveal()) > MOST_LENGTH:
            return False
        nobody = self._hash_of_nobody()
        try:
            self._hasher.verify(stored or nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def _hash_of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = self._hasher.hash(secrets.token_urlsafe(32))
        return self._nobody


def _normal(password: Secret) -> str:
    """Give the password as it is hashed: one text for all the ways to type it (NIST SP 800-63B: NFKC)."""
    return unicodedata.normalize("NFKC", password.reveal())


def _left_without(text: str, names: tuple[str, ...]) -> int:
    """Give how many characters are left of a password without the names in it."""
    left = text.casefold()
    for name in names:
        for part in (name.casefold(), name.casefold().partition("@")[0]):
            left = left.replace(part, "") if part else left
    return len(left)
