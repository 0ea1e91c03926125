"""Credentials for Google Cloud, as env0 has them."""

from pydantic import Field

from runpass.protocol.credentials.fields import Line, SecretFile, TokenFormat, Value


class GcpOidc(Value):
    """Log in through workload identity federation with the run's identity token."""

    # SECURITY: what a whole file holds cannot be known, so it is kept as a secret.
    credential_configuration_file_content: SecretFile = Field(
        title="Credential configuration file",
        description="The JSON file that Google Cloud gives for the provider. Encrypted, and never given back.",
        examples=['{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global"}'],
    )
    token_format: TokenFormat = Field(
        default="v1",
        title="Token format",
        description="v1: the issuer's shared audience; v2: one for GCP; credential: one for this credential alone.",
        examples=["v1"],
    )


class GcpServiceAccount(Value):
    """The key of a service account."""

    project_id: Line | None = Field(
        default=None,
        title="Project ID",
        description="The project of Google Cloud to work in.",
        examples=["my-project-123"],
    )
    service_account_key: SecretFile = Field(
        title="Service Account Key",
        description="The JSON file of the key. Encrypted, and never given back.",
        examples=['{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}'],
    )


class GcpCost(Value):
    """What env0 uses to read an account's costs."""

    tableid: Line = Field(
        title="Table ID",
        description="The table of the billing export.",
        examples=["my-project.billing.gcp_billing_export_v1_0123"],
    )
    secret: SecretFile = Field(
        title="Secret",
        description="The JSON file of a service account's key. Encrypted, and never given back.",
        examples=['{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}'],
    )
