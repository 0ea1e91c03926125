"""Credentials for Amazon Web Services, as env0 has them."""

from typing import Literal

from pydantic import Field

from runpass.protocol.credentials.fields import Line, SecretLine, TokenFormat, Value

Duration = Literal[3600, 7200, 14400, 18000, 28800, 43200]
"""Seconds."""


class AwsAssumedRole(Value):
    """Assume a role. Also what env0 uses for cost estimation."""

    role_arn: Line = Field(
        title="Role ARN",
        description="The role to assume.",
        examples=["arn:aws:iam::123456789012:role/deploy"],
    )
    duration: Duration = Field(
        default=18000,
        title="Duration",
        description="Seconds that the session of the role lives: 1, 2, 4, 5, 8 or 12 hours.",
        examples=[3600],
    )


class AwsOidc(AwsAssumedRole):
    """Assume a role with the run's identity token."""

    token_format: TokenFormat = Field(
        default="v1",
        title="Token format",
        description="v1: the issuer's shared audience; v2: one for AWS; credential: one for this credential alone.",
        examples=["v1"],
    )


class AwsAccessKeys(Value):
    """An access key of a user."""

    access_key_id: Line = Field(
        title="Access Key ID", description="The id of the access key.", examples=["AKIAIOSFODNN7EXAMPLE"]
    )
    secret_access_key: SecretLine = Field(
        title="Secret Access Key",
        description="The secret of the access key. Encrypted, and never given back.",
        examples=["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
    )
