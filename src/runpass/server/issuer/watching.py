"""What an operator's monitoring may know of the shared issuer's keys: ages, dates and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runpass.server.issuer.keys import PUBLISHED, KeyState
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.rotation import next_rotation


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The keys as this process read them last, and how long ago that was."""

    active_for_seconds: float | None
    next_rotation: datetime | None
    ring_age_seconds: float
    by_state: Mapping[str, int]
    withheld: int


def key_facts(rings: Rings) -> KeyFacts:
    """Give what is known at this moment, without asking the database."""
    ring = rings.shared.last_read
    since = next((key.activated_at for key in ring.keys if key.state is KeyState.ACTIVE), None)
    numbers = {state.value: sum(key.state is state for key in ring.keys) for state in PUBLISHED}
    return KeyFacts(
        active_for_seconds=None if since is None else round((rings.now() - since).total_seconds(), 1),
        next_rotation=next_rotation((*ring.keys, *ring.withheld), rings.policy),
        ring_age_seconds=round(rings.age().total_seconds(), 3),
        by_state={**numbers, "withheld": len(ring.withheld)},
        withheld=len(ring.withheld),
    )
