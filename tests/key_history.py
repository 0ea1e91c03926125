"""Years in the life of signing keys, in seconds: servers that decide, crash, lag behind and are cut off.

The store is a dictionary, changed as the real one is: in one step, by whoever comes first, who decides again on what
is there by then. Time goes in small steps where something is about to happen and leaps where nothing can. After each
step everything that must be true of tokens, keys and documents is looked at.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from runpass.server.issuer.keys import PUBLISHED, KeyRecord, KeyState
from runpass.server.issuer.rotation import NOTHING, Actions, Policy, carried_out, decide, needed_until, next_rotation

SERVERS = 3
SOON = timedelta(seconds=20)


@dataclass
class Server:
    """What one server has in memory, and what is wrong with it."""

    ring: tuple[KeyRecord, ...] = ()
    read_at: datetime | None = None
    down_until: datetime | None = None
    cut_off_until: datetime | None = None

    def age(self, now: datetime) -> timedelta:
        return timedelta.max if self.read_at is None else now - self.read_at

    @property
    def kids(self) -> frozenset[str]:
        return frozenset(key.kid for key in self.ring)

    @property
    def signing(self) -> str:
        (active,) = [key.kid for key in self.ring if key.state is KeyState.ACTIVE]
        return active


@dataclass
class History:
    policy: Policy
    now: datetime
    seed: int
    stored: dict[str, KeyRecord] = field(default_factory=dict)
    rotations: int = 0
    crashes: int = 0
    lost_races: int = 0
    refused_to_sign: int = 0
    refused_to_publish: int = 0
    tokens: int = 0
    most_published: int = 0
    confirmed: int = 0
    waited_in_vain: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 -- repeatable, not secret
        self.servers = [Server() for _ in range(SERVERS)]
        self.expiry: dict[str, datetime] = {}  # by kid: when the last token that it signed expires
        self.caches: list[tuple[datetime, frozenset[str]]] = []  # documents that somebody keeps, and since when
        self.numbers = count()
        self.vaults = random.Random(self.seed)  # noqa: S311 -- of its own, so that the rest goes on as without them

    def run(self, length: timedelta) -> None:
        end = self.now + length
        for server in self.servers:
            self.start(server)
        while self.now < end:
            self.let_time_pass()
            for server in self.random.sample(self.servers, SERVERS):
                self.live(server)
            self.confirm()
            self.check()

    def let_time_pass(self) -> None:
        """Leap to shortly before the next thing that can happen, or go on by a little."""
        ahead = [moment for moment in self.moments() if moment > self.now]
        soon = min(ahead, default=self.now)
        recently = any(timedelta(0) <= self.now - moment < SOON for moment in self.moments())
        if self.random.random() < 0.002:
            self.everything_stops(timedelta(days=self.random.choice([0.01, 1, 10])))
        elif soon - self.now > 2 * SOON and not recently:
            self.now = soon - self.random.random() * SOON
            for server in self.servers:  # those that work have looked every half second meanwhile
                self.read(server)
        else:
            self.now += timedelta(seconds=self.random.choice([0.1, 0.5, 2.0, 9.0]))

    def moments(self) -> list[datetime]:
        """When anything can become due, seen from what is stored."""
        keys = self.live_keys()
        found = [needed_until(key, self.policy) for key in keys if key.state is KeyState.RETIRING]
        succession = next_rotation(keys, self.policy)
        if succession:
            found += [succession, succession - self.policy.publish_ahead - self.policy.stale_after]
        happened = [(key.created_at, key.published_at, key.activated_at, key.retired_at) for key in keys]
        return [*found, *(moment for moments in happened for moment in moments if moment)]

    def confirm(self) -> None:
        """Let Vaults be seen to have the upcoming key, sooner or later or never."""
        for key in self.live_keys():
            waits = key.state is KeyState.UPCOMING and key.confirmation_awaited and not key.confirmed_at
            is_seen_one_day = not key.kid.endswith(("1", "4", "7"))
            if waits and is_seen_one_day and self.vaults.random() < 0.1:
                self.confirmed += 1
                self.stored[key.kid] = replace(key, confirmed_at=self.now)

    def everything_stops(self, length: timedelta) -> None:
        self.now += length
        for server in self.servers:
            server.down_until = None
            self.start(server)

    def live(self, server: Server) -> None:
        if server.down_until:
            if server.down_until <= self.now:
                server.down_until = None
                self.start(server)
            return
        luck = self.random.random()
        if luck < 0.02:
            server.cut_off_until = self.now + timedelta(seconds=self.random.choice([5, 30, 1200]))
        if luck < 0.8:
            self.read(server)
        if self.random.random() < 0.8:
            self.tend(server)
        if not server.down_until:
            self.mint(server)
            self.publish(server)

    def start(self, server: Server) -> None:
        server.read_at, server.cut_off_until = None, None
        self.change(decide(self.live_keys(), self.now, self.policy))
        self.read(server)

    def read(self, server: Server) -> None:
        if server.cut_off_until and server.cut_off_until > self.now:
            return
        if not server.down_until:
            server.ring, server.read_at, server.cut_off_until = tuple(self.live_keys()), self.now, None

    def tend(self, server: Server) -> None:
        wanted = decide(server.ring, self.now, self.policy)
        if wanted == NOTHING or (server.cut_off_until and server.cut_off_until > self.now):
            return
        if self.random.random() < 0.25:  # between deciding and committing
            self.crashes += 1
            server.read_at = None
            server.down_until = self.now + timedelta(seconds=self.random.choice([1, 20, 3600]))
            return
        actions = decide(self.live_keys(), self.now, self.policy)
        self.lost_races += actions != wanted
        self.change(actions)

    def change(self, actions: Actions) -> None:
        awaited = actions.publish is not None and self.vaults.random() < 0.5
        for before, after in carried_out(self.live_keys(), actions, self.now, self.policy, awaited=awaited):
            assert self.stored[before.kid] == before
            self.check_waiting(before, after)
            self.stored[after.kid] = after
            assert sum(key.state is KeyState.ACTIVE for key in self.stored.values()) <= 1
        self.rotations += actions.retire is not None
        if actions.make:
            key = self.fresh(actions.make)
            assert key.kid not in self.stored
            self.stored[key.kid] = key

    def check_waiting(self, before: KeyRecord, after: KeyRecord) -> None:
        """A key that somebody is to confirm signs once it is confirmed, or at the limit."""
        signs = before.state is KeyState.UPCOMING and after.state is KeyState.ACTIVE
        if signs and before.confirmation_awaited and not before.confirmed_at:
            self.waited_in_vain += 1
            assert before.published_at
            assert self.now >= before.published_at + self.policy.confirm_limit

    def fresh(self, state: KeyState) -> KeyRecord:
        kid, at = f"key-{next(self.numbers)}", self.now if state is KeyState.ACTIVE else None
        return KeyRecord(
            kid=kid,
            algorithm="RS256",
            state=state,
            created_at=self.now,
            public_jwk={"kid": kid},
            published_at=at,
            activated_at=at,
            longest_token=self.policy.longest_token,
        )

    def mint(self, server: Server) -> None:
        if server.age(self.now) > self.policy.stale_after:
            self.refused_to_sign += 1
            return
        self.tokens += 1
        self.expiry[server.signing] = self.now + self.policy.longest_token

    def publish(self, server: Server) -> None:
        if server.age(self.now) > self.policy.documents_stale_after:
            self.refused_to_publish += 1
            return
        if self.random.random() < 0.2:
            self.caches.append((self.now, server.kids))

    def check(self) -> None:
        assert sum(key.state is KeyState.ACTIVE for key in self.stored.values()) == 1
        assert sum(key.state is KeyState.UPCOMING for key in self.stored.values()) <= 1
        self.caches = [(at, kids) for at, kids in self.caches if self.now - at <= self.policy.cache_time]
        self.expiry = {kid: at for kid, at in self.expiry.items() if at >= self.now}
        documents = [server.kids for server in self.servers if self.serves(server)]
        for published in documents + [kids for _, kids in self.caches]:
            assert self.expiry.keys() <= published
            self.most_published = max(self.most_published, len(published))
        for kid in self.expiry:
            assert self.stored[kid].state in PUBLISHED

    def serves(self, server: Server) -> bool:
        return not server.down_until and server.age(self.now) <= self.policy.documents_stale_after

    def live_keys(self) -> list[KeyRecord]:
        return [key for key in self.stored.values() if key.state in PUBLISHED]
