"""How much one relying party may ask, from however many addresses."""

import threading

from runpass.clock import Clock
from runpass.errors import TooManyRequests
from runpass.ids import RelyingPartyId
from runpass.server.http.counting import WindowCounts
from runpass.server.http.limiting import ALL_PATHS, Limits


class PartyShare:
    """Counts questions by relying party. Threads may share it.

    A service runs on several machines, each with a share by its address; all of them together have ten.
    """

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._most = ALL_PATHS * limits.requests
        self._counts = WindowCounts(clock, limits.seconds)
        self._turn = threading.Lock()

    def take(self, party_id: RelyingPartyId) -> None:
        """Count a question. Raises `TooManyRequests`."""
        with self._turn:
            if self._most and self._counts.add(str(party_id)) > self._most:
                raise TooManyRequests(
                    "too many questions of this relying party",
                    retry_after_seconds=self._counts.seconds_left(),
                    hint="wait as long as Retry-After says",
                )
