"""The kinds of credentials that there are, and those that something can be done with."""

from enum import StrEnum
from typing import Final


class CredentialKind(StrEnum):
    """The `type` of a credential on the wire."""

    VAULT_OIDC = "VAULT_OIDC"
    AWS_OIDC = "AWS_OIDC"
    AZURE_OIDC = "AZURE_OIDC"
    GCP_OIDC = "GCP_OIDC"
    AWS_ASSUMED_ROLE_FOR_DEPLOYMENT = "AWS_ASSUMED_ROLE_FOR_DEPLOYMENT"
    AWS_ACCESS_KEYS_FOR_DEPLOYMENT = "AWS_ACCESS_KEYS_FOR_DEPLOYMENT"
    AWS_ASSUMED_ROLE = "AWS_ASSUMED_ROLE"
    GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT = "GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT"
    GCP_CREDENTIALS = "GCP_CREDENTIALS"
    AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT = "AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT"
    AZURE_CREDENTIALS = "AZURE_CREDENTIALS"
    OCI_API_KEY_FOR_DEPLOYMENT = "OCI_API_KEY_FOR_DEPLOYMENT"
    K8S_KUBECONFIG_FILE = "K8S_KUBECONFIG_FILE"
    K8S_EKS_AUTH = "K8S_EKS_AUTH"
    K8S_AZURE_AKS_AUTH = "K8S_AZURE_AKS_AUTH"
    K8S_GCP_GKE_AUTH = "K8S_GCP_GKE_AUTH"


SERVED: Final = frozenset({CredentialKind.VAULT_OIDC})
"""Kinds that a runner can use. The others are kept, and a deployment that needs one fails with a sentence."""

COST_KINDS: Final = frozenset(
    {CredentialKind.AWS_ASSUMED_ROLE, CredentialKind.GCP_CREDENTIALS, CredentialKind.AZURE_CREDENTIALS}
)
"""Kinds that env0 has for cost estimation. They are kept and are nothing that a deployment gets."""
