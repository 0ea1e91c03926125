"""Credentials for Azure, as env0 has them."""

from pydantic import Field

from runpass.protocol.credentials.fields import Line, SecretLine, TokenFormat, Value


class _Application(Value):
    client_id: Line = Field(
        title="Client ID",
        description="The application (client) id.",
        examples=["11111111-2222-3333-4444-555555555555"],
    )
    subscription_id: Line = Field(
        title="Subscription ID",
        description="The subscription to work in.",
        examples=["22222222-3333-4444-5555-666666666666"],
    )
    tenant_id: Line = Field(
        title="Tenant ID",
        description="The directory (tenant) id.",
        examples=["33333333-4444-5555-6666-777777777777"],
    )


class AzureOidc(_Application):
    """Log in as an application with the run's identity token. SECURITY: a `clientSecret` that is sent is not kept."""

    token_format: TokenFormat = Field(
        default="v1",
        title="Token format",
        description="v1: the issuer's shared audience; v2: one for Azure; credential: one for this credential alone.",
        examples=["v1"],
    )


class AzureServicePrincipal(_Application):
    """Log in as an application with its secret. Also what env0 uses for cost estimation."""

    client_secret: SecretLine = Field(
        title="Client Secret",
        description="The application's secret. Encrypted, and never given back.",
        examples=["a8Q~exampleExampleExampleExampleExample"],
    )
