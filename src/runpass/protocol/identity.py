"""Workload identity tokens: how a runner asks for one.

The login token of one credential carries `credentialId` and stays in the runner. The tokens of the job are handed to
the commands and never carry it; there may be two of them, with different audiences.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from runpass.protocol.wire import FencingToken, Record
from runpass.secret import Secret

ID_TOKEN_PATH: Final = "/id-token/v1"  # noqa: S105 -- a path
"""Below it a job asks for tokens by itself; the id of its run lease follows."""


class ForJob(Record):
    """A token that the job itself holds: `ENV0_OIDC_TOKEN`, and where a credential is `v2` `ENV0_VAULT_OIDC_TOKEN`."""

    kind: Literal["job"] = "job"
    audience_format: Literal["v1", "v2"] = "v1"
    """`v1`: the issuer's shared audience; `v2`: that of all Vaults."""


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
    issued_at: datetime | None = None
    """By the same clock as `expires_at`. Servers before 0.2 do not say it."""
    login_id: UUID | None = None
    """Of a token for a login: the server counts it as a token at the Vault until it is told what became of it."""
