"""How a runner joins: a join token is exchanged once for a runner key."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from runpass.protocol.version import PROTOCOL_VERSION
from runpass.protocol.wire import Name, Record, Storable
from runpass.secret import Secret


class Isolation(StrEnum):
    """How a runner keeps one run from another; also the claim `runnerIsolation` of every token it asks for."""

    UID = "uid"
    """Started as root: every run has a user and group of its own."""
    BUBBLEWRAP = "bubblewrap"
    """Namespaces through bubblewrap: every run sees a file system and processes of its own."""
    NONE = "none"
    """Neither: runs share the runner's own user, so one at a time and of one project only."""


class Registration(Record):
    """Runner → server, with the join token as bearer."""

    name: Name
    version: Annotated[str, Field(max_length=64), Storable]
    protocol: Annotated[int, Field(ge=0, le=65_535)] = PROTOCOL_VERSION
    isolation: Isolation
    capacity: Annotated[int, Field(ge=1, le=256)]


class Registered(Record):
    """Server → runner: who it is from now on. The runner key is shown here and never again."""

    runner_id: UUID
    runner_key: Secret
    organization_id: UUID
    pool: str
    lease_seconds: float
    """How long a run lease lives without a heartbeat; heartbeats go out every third of it."""
