"""From a kind and a `value` to the record of that kind."""

import json
from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError

from runpass.protocol.credentials.aws import AwsAccessKeys, AwsAssumedRole, AwsOidc
from runpass.protocol.credentials.azure import AzureOidc, AzureServicePrincipal
from runpass.protocol.credentials.gcp import GcpCost, GcpOidc, GcpServiceAccount
from runpass.protocol.credentials.kinds import CredentialKind
from runpass.protocol.credentials.kubernetes import AksCluster, EksCluster, GkeCluster, Kubeconfig
from runpass.protocol.credentials.oracle import OciApiKey
from runpass.protocol.credentials.vault_oidc import VaultOidc
from runpass.protocol.wire import Record, Storable, invalid_input

Credential = (
    VaultOidc
    | AwsOidc
    | AzureOidc
    | GcpOidc
    | AwsAssumedRole
    | AwsAccessKeys
    | GcpServiceAccount
    | GcpCost
    | AzureServicePrincipal
    | OciApiKey
    | Kubeconfig
    | EksCluster
    | AksCluster
    | GkeCluster
)

CLASSES: Final[Mapping[CredentialKind, type[Credential]]] = {
    CredentialKind.VAULT_OIDC: VaultOidc,
    CredentialKind.AWS_OIDC: AwsOidc,
    CredentialKind.AZURE_OIDC: AzureOidc,
    CredentialKind.GCP_OIDC: GcpOidc,
    CredentialKind.AWS_ASSUMED_ROLE_FOR_DEPLOYMENT: AwsAssumedRole,
    CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT: AwsAccessKeys,
    CredentialKind.AWS_ASSUMED_ROLE: AwsAssumedRole,
    CredentialKind.GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT: GcpServiceAccount,
    CredentialKind.GCP_CREDENTIALS: GcpCost,
    CredentialKind.AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT: AzureServicePrincipal,
    CredentialKind.AZURE_CREDENTIALS: AzureServicePrincipal,
    CredentialKind.OCI_API_KEY_FOR_DEPLOYMENT: OciApiKey,
    CredentialKind.K8S_KUBECONFIG_FILE: Kubeconfig,
    CredentialKind.K8S_EKS_AUTH: EksCluster,
    CredentialKind.K8S_AZURE_AKS_AUTH: AksCluster,
    CredentialKind.K8S_GCP_GKE_AUTH: GkeCluster,
}
"""The class of every kind."""


def parse(kind: CredentialKind, value: object) -> Credential:
    """Give the credential of this kind from its `value` object; unknown fields in it are ignored, as env0 sends some.

    Raises `InvalidInput` that names every bad field as `value.<field>`.
    """
    try:
        return CLASSES[kind].model_validate(value)
    except ValidationError as error:
        raise invalid_input(error, prefix="value.") from None


def _data(value: str) -> str:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("must be the text of a JSON object")  # noqa: TRY004 -- what pydantic understands
    return value


Data = Annotated[str, Field(max_length=32_768), AfterValidator(_data), Storable]
"""The data of a read of a Vault, as JSON text."""


class RecordedRole(Record):
    """What `runpass vault apply` wrote for a credential, for explanations: nobody decides anything by it."""

    role_name: Annotated[str, Field(max_length=255)]
    mount: Annotated[str, Field(max_length=255)]
    namespace: Annotated[str, Field(max_length=255)] = ""
    role: Data
    config: Data

    def is_of(self, credential: VaultOidc) -> bool:
        """Whether this is the role that a credential logs in with."""
        here = (self.role_name.lower(), self.mount.strip("/"), self.namespace.strip("/"))
        wanted = (credential.role_name.lower(), credential.jwt_auth_backend_path, credential.namespace)
        return here == wanted


class CredentialGrant(Record):
    """A credential as a run lease carries it: assigned to the run's project, of a kind that runners serve."""

    credential_id: UUID
    name: str
    kind: CredentialKind
    value: VaultOidc
    recorded: RecordedRole | None = None
