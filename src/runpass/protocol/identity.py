"""Workload identity tokens: how a runner asks for one.

There are two, and they are never the same token: the login token of one credential carries `credentialId` and stays
in the runner; the job token is handed to the commands and never carries it.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runpass.protocol.wire import FencingToken, Record
from runpass.secret import Secret


class ForJob(Record):
    """The token that the job itself holds as `ENV0_OIDC_TOKEN`."""

    kind: Literal["job"] = "job"


class ForCredential(Record):
    """The token for the login of one credential that the run lease carries."""

    kind: Literal["credential"] = "credential"
    credential_id: UUID


Purpose = Annotated[ForJob | ForCredential, Field(discriminator="kind")]


class IdentityRequest(Record):
    """Runner → server, with the lease's secret."""

    fencing_token: FencingToken
    purpose: Purpose


class IdentityToken(Record):
    """Server → runner: a signed JWT. A bearer token: whoever has it is the run."""

    token: Secret
    jti: str
    audience: str
    expires_at: datetime
