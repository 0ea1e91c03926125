"""Which Vault fetched the key set: noted in memory by whichever process answered, and kept if a key check asked for it.

Anybody can fetch at any name. So a fetch costs no query and no write by itself: it is one entry in a bounded map. Twice
a second whatever came is compared, in memory, with the key checks that go on; nothing of the map gets into a query.
"""

import threading
from datetime import datetime
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.server.db.engine import Database
from runpass.server.vault_tasks import key_check_store as store
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck

_log = structlog.get_logger(__name__)
MOST: Final = 20_000
"""Names noted between two looks: more than one process can be asked for in that time, and a few megabytes."""

Fetch = tuple[datetime, frozenset[str]]


class Sightings:
    """The fetches that came to this process since the last look."""

    def __init__(self, database: Database, clock: Clock, *, most: int = MOST) -> None:
        self._database = database
        self._clock = clock
        self._most = most
        self._turn = threading.Lock()
        self._noted: dict[str, Fetch] = {}

    def saw(self, name: str, kids: frozenset[str]) -> None:
        """Note that the key set with these keys was sent to whoever asked at this name. It waits for nothing."""
        fetch = (self._clock.now(), kids)
        with self._turn:
            if len(self._noted) < self._most or name in self._noted:
                self._noted[name] = fetch

    def keep(self) -> None:
        """Keep what key checks wait for, and forget the rest. One query, whatever was fetched; none if nothing was."""
        with self._turn:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        if len(noted) >= self._most:
            _log.warning("key_set.fetched_at_too_many_names", most=self._most)
        with self._database.read() as tx:
            waiting = store.open_checks(tx, self._clock.now())
        seen = [(check, noted[check.verifier]) for check in waiting if check.verifier in noted]
        proven = [(check, fetch) for check, fetch in seen if _proves(check, fetch)]
        if not proven:
            return
        with self._database.write() as tx:
            for check, (at, kids) in proven:
                store.mark_seen(tx, check.id, at, kids)


def _proves(check: StoredKeyCheck, fetch: Fetch) -> bool:
    """Whether the fetch came while the check went on, as far as clocks agree, and had the key in it.

    SECURITY: a Vault that fetched at another time may have been anybody who knows the URL.
    """
    at, kids = fetch
    began, ended = check.taken_at, check.finished_at
    in_time = began is not None and began - store.SLACK <= at and (ended is None or at <= ended + store.SLACK)
    return in_time and (check.about_kid is None or check.about_kid in kids)
