"""The records of a mint: which token of which run, and the question that it answers."""

from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from uuid import UUID

from runpass.ids import ProjectId
from runpass.protocol.identity import IdentityToken
from runpass.server.credentials.model import StoredCredential
from runpass.server.deployments.mint_commit import Mint
from runpass.server.deployments.model import Deployment, Inputs, Lease
from runpass.server.issuer.claims import WrittenClaims
from runpass.server.runners.model import Runner
from runpass.server.tenancy.model import Organization


@dataclass(frozen=True, slots=True)
class Token:
    """Which token is to be made."""

    audience: str
    credential: StoredCredential | None = None

    @property
    def credential_id(self) -> UUID | None:
        """Give the credential whose login it is for."""
        return self.credential.id if self.credential else None


@dataclass(frozen=True, slots=True)
class Said:
    """What tokens of a run say of it."""

    subject: str
    claims: WrittenClaims


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a token is for, and what it may use, at the moment of asking."""

    lease: Lease
    deployment: Deployment
    runner: Runner
    organization: Organization
    path: Sequence[ProjectId]
    """From the root project down to the run's own."""
    granted: Sequence[StoredCredential]
    inputs: Inputs
    """Without commands and variables: what no claim says is not kept in memory."""
    said: Said
    """What the job's own tokens say."""


Proof = tuple[object, ...]
"""What an asker presented, secrets as digests."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question for a token, which another thread may answer: in the context of the request that it came with."""

    proof: Proof | None
    """By which the run may be known from its last question; None: it is read each time."""
    read: Callable[[], Run]
    wanted: Callable[[Run], Token]
    refused: Callable[[Exception], Exception]
    """Notes a refusal, and gives it as the asker may see it."""
    kind: str
    context: Context = field(default_factory=copy_context)


@dataclass(frozen=True, slots=True)
class Made:
    """A token that waits for its commit."""

    is_remembered: bool
    """Whether its run was not read for it."""
    mint: Mint
    token: IdentityToken
