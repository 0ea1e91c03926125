"""What a runner tells about a run while it goes on, and how it ended."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from runpass.protocol.outputs import OutputsText
from runpass.protocol.vault_logins import MAX_LOGINS, EndedLogin
from runpass.protocol.wire import FencingToken, Moment, Record, Storable, Text

SETUP_VAULT_STEP = "setup-oidc-vault"
"""env0's name of the step that logs in to Vault."""

MAX_MESSAGE = 16_384
"""Characters of one log event; longer lines are split by the runner."""
MAX_EVENTS = 1_000
"""Log events of one report."""
MAX_SECRET_NAME = 255
MAX_LEAKS = 100
"""Pairs of secret and step that one deployment tells of."""
MAX_NUMBER = 2_147_483_647
"""Log events of one step: what the database's whole numbers hold."""

StepName = Annotated[str, Field(min_length=1, max_length=128), Storable]


class StepStatus(StrEnum):
    """env0's step states (note `FAIL`, not `FAILURE`)."""

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    WAITING_FOR_USER = "WAITING_FOR_USER"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    WARNING = "WARNING"


ENDED = frozenset(StepStatus) - {StepStatus.NOT_STARTED, StepStatus.IN_PROGRESS, StepStatus.WAITING_FOR_USER}
"""States after which a step does not go on."""


class LogLevel(StrEnum):
    """Where a line came from: the commands' two streams, or runpass itself."""

    INFO = "info"
    ERROR = "error"
    SYSTEM = "system"


class Step(Record):
    """The state of one step; a later report replaces it by name."""

    name: StepName
    order: Annotated[int, Field(ge=0, le=10_000)]
    status: StepStatus
    started_at: Moment | None = None
    completed_at: Moment | None = None


class LogEvent(Record):
    """One line of one step, already masked. `number` counts from 1 within the step and makes a repeat harmless."""

    step: StepName
    number: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    at: Moment
    level: LogLevel
    message: Annotated[str, Field(max_length=MAX_MESSAGE), Storable]


class Leak(Record):
    """A secret that turned up in the output of a step, masked: what it is known as, never anything of its value."""

    secret: Annotated[str, Field(min_length=1, max_length=MAX_SECRET_NAME), Storable]
    step: StepName


class Report(Record):
    """Runner → server, with the lease's secret. Repeating a report changes nothing."""

    fencing_token: FencingToken
    steps: Annotated[tuple[Step, ...], Field(max_length=1_000)] = ()
    events: Annotated[tuple[LogEvent, ...], Field(max_length=MAX_EVENTS)] = ()
    leaks: Annotated[tuple[Leak, ...], Field(max_length=MAX_LEAKS)] = ()


class Outcome(StrEnum):
    """How a run ended, as the runner saw it; the server turns it into the deployment's status."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    ABORTED = "aborted"
    INTERNAL_FAILURE = "internal-failure"


class Explained(Record):
    """One check of a Vault about a login: what its role asks for and what the run has. Never the token."""

    name: Annotated[str, Field(min_length=1, max_length=1024), Storable]
    passed: bool | None = None
    """None: it cannot be known from here."""
    expected: Text = ""
    received: Text = ""
    fix: Text | None = None


MAX_EXPLAINED = 60


class Refusal(Record):
    """Why a run could not get its secrets: our sentence, Vault's own words if there were any, and the next step."""

    code: Annotated[str, Field(max_length=64), Storable]
    reason: Text
    vault_error: Text | None = None
    hint: Text | None = None
    checks: Annotated[tuple[Explained, ...], Field(max_length=MAX_EXPLAINED)] = ()
    """What the Vault looked at and did not accept. What it expected is for those who manage credentials."""


class Finish(Record):
    """Runner → server, the last word on a run: it ends the lease."""

    fencing_token: FencingToken
    outcome: Outcome
    error: Text | None = None
    failed_step: Annotated[str, Field(max_length=128), Storable] | None = None
    refusal: Refusal | None = None
    outputs: OutputsText | None = None
    """What the run gave back, as `protocol.outputs` spells it."""
    vault_logins: Annotated[tuple[EndedLogin, ...], Field(max_length=MAX_LOGINS)] | None = None
    """All logins of this lease; one that is missing here was never tried. None: the runner keeps no account of them."""
