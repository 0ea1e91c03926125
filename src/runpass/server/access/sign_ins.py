"""Proving to be a person, by name and password.

What a wrong guess costs the guesser: a turn in a queue of its own, so that hashing keeps no API key waiting; a count
for the source (`http.limiting`); and a count for the name. SECURITY: nobody can lock somebody else out for good by
guessing: whoever comes from where that person signed in last is not refused for the count of the name, and the count
begins anew each minute.
"""

from dataclasses import replace
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.clock import Clock
from runpass.errors import Conflict, TooManyRequests, Unauthenticated, Unavailable
from runpass.secret import Secret
from runpass.server.access import people_store
from runpass.server.access.logins import Logins
from runpass.server.access.passwords import Passwords
from runpass.server.access.people import sign_in_key
from runpass.server.access.people_store import Person
from runpass.server.access.waiting import WaitingRoom
from runpass.server.db.engine import Database
from runpass.server.http.counting import WindowCounts

WRONG_FOR_A_NAME: Final = 10
"""Wrong passwords for one name, from wherever, in each window of one server process."""
WINDOW_SECONDS: Final = 60.0
MOST_WAITING: Final = 24
"""Sign-ins that wait for their turn in one server process. Fewer than hashes may wait: new passwords find a place."""
MOST_OF_ONE_SOURCE: Final = 8
"""Of these from one source, so that one alone does not fill the queue."""
_log = structlog.get_logger(__name__)


class WrongPassword(Unauthenticated):
    """A name that nobody has, or a person without this password. From outside, both look the same."""

    def __init__(self, person: Person | None) -> None:
        super().__init__("the name or the password is wrong")
        self.person = person


class SignIns:
    """Checks passwords. One for each server process."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords | None = None) -> None:
        self.passwords = passwords or Passwords()
        self._database = database
        self._logins = Logins(WaitingRoom(MOST_WAITING, MOST_OF_ONE_SOURCE))
        self._wrong = WindowCounts(clock, WINDOW_SECONDS)

    async def prove(self, name: str, password: Secret, source: str) -> Person:
        """Give the person of this name.

        Raises `WrongPassword`, or `TooManyRequests` where it was guessed at, and where too many wait already.
        """
        key = sign_in_key(name)
        async with self._logins.turn(source, f"{key}\x00{password.reveal()}"):
            person = await run_in_threadpool(self._find, key)
            if not (person is not None and source and person.last_sign_in_source == source):
                self._check_guesses(key)
            stored = person.password_hash if person else None
            if not await self.passwords.matches(password, stored) or person is None:
                self._wrong.add(key)
                raise WrongPassword(person)
        return await self._renewed(person, password)

    def _find(self, key: str) -> Person | None:
        with self._database.read() as tx:
            return people_store.find_person(tx, key)

    def _check_guesses(self, key: str) -> None:
        if self._wrong.count(key) >= WRONG_FOR_A_NAME:
            raise TooManyRequests(
                "too many wrong passwords for this name",
                retry_after_seconds=self._wrong.seconds_left(),
                hint="wait as long as Retry-After says",
            )

    async def _renewed(self, person: Person, password: Secret) -> Person:
        """Hash the password anew where that was done with other parameters than today's."""
        before = person.password_hash
        if before is None or not self.passwords.is_outdated(before):
            return person
        try:
            after = await self.passwords.hashed(password)
        except TooManyRequests:  # the password was right; there will be a quieter moment for this
            return person
        is_renewed = await run_in_threadpool(self._replace, person, before, after)
        return replace(person, password_hash=after) if is_renewed else person

    def _replace(self, person: Person, before: str, after: str) -> bool:
        try:
            with self._database.write() as tx:
                return people_store.replace_password(tx, person.id, before, after)
        except (Unavailable, Conflict) as error:
            _log.warning("password.not_renewed", code=error.code, message=error.message)
            return False
