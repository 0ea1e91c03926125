"""Credentials for Oracle Cloud, as env0 has them."""

from pydantic import Field

from runpass.protocol.credentials.fields import Line, SecretFile, Value


class OciApiKey(Value):
    """An API signing key of a user."""

    tenancy_ocid: Line = Field(
        title="Tenancy OCID", description="The tenancy's id.", examples=["ocid1.tenancy.oc1..aaaaaaaaexample"]
    )
    user_ocid: Line = Field(
        title="User OCID", description="The user's id.", examples=["ocid1.user.oc1..aaaaaaaaexample"]
    )
    fingerprint: Line = Field(
        title="Fingerprint",
        description="The fingerprint of the public key.",
        examples=["12:34:56:78:90:ab:cd:ef:12:34:56:78:90:ab:cd:ef"],
    )
    private_key: SecretFile = Field(
        title="Private Key",
        description="The private key, as PEM. Encrypted, and never given back.",
        examples=["-----BEGIN PRIVATE KEY-----"],
    )
    region: Line = Field(title="Region", description="The region to work in.", examples=["eu-frankfurt-1"])
