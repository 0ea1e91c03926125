"""What pages call the kinds of credentials, and in which groups they offer them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runpass.protocol.credentials import CLASSES, COST_KINDS, SERVED, CredentialKind

LABELS: Final[Mapping[CredentialKind, str]] = {
    CredentialKind.VAULT_OIDC: "Vault OIDC",
    CredentialKind.AWS_OIDC: "AWS OIDC",
    CredentialKind.AWS_ASSUMED_ROLE_FOR_DEPLOYMENT: "AWS assumed role",
    CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT: "AWS access keys",
    CredentialKind.AWS_ASSUMED_ROLE: "AWS assumed role, for costs",
    CredentialKind.AZURE_OIDC: "Azure OIDC",
    CredentialKind.AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT: "Azure service principal",
    CredentialKind.AZURE_CREDENTIALS: "Azure service principal, for costs",
    CredentialKind.GCP_OIDC: "Google Cloud OIDC",
    CredentialKind.GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT: "Google Cloud service account",
    CredentialKind.GCP_CREDENTIALS: "Google Cloud billing export, for costs",
    CredentialKind.OCI_API_KEY_FOR_DEPLOYMENT: "Oracle Cloud API key",
    CredentialKind.K8S_KUBECONFIG_FILE: "Kubeconfig file",
    CredentialKind.K8S_EKS_AUTH: "Cluster of AWS (EKS)",
    CredentialKind.K8S_AZURE_AKS_AUTH: "Cluster of Azure (AKS)",
    CredentialKind.K8S_GCP_GKE_AUTH: "Cluster of Google Cloud (GKE)",
}
_GROUPS: Final = (
    ("HashiCorp Vault and OpenBao", "VAULT_"),
    ("Amazon Web Services", "AWS_"),
    ("Azure", "AZURE_"),
    ("Google Cloud", "GCP_"),
    ("Oracle Cloud", "OCI_"),
    ("Kubernetes", "K8S_"),
)
"""Each with how the names of its kinds begin. The first is what runpass is for."""


@dataclass(frozen=True, slots=True)
class OfferedKind:
    """A kind as a page offers it."""

    kind: CredentialKind
    label: str
    about: str
    """What it is for, in a sentence or two."""
    note: str
    """What it cannot do; empty for one that runners serve."""


@dataclass(frozen=True, slots=True)
class KindGroup:
    """The kinds of one provider."""

    title: str
    kinds: tuple[OfferedKind, ...]


def kind_groups() -> tuple[KindGroup, ...]:
    """Give all kinds, in the order in which they are offered."""
    return tuple(
        KindGroup(title, tuple(offered(kind) for kind in LABELS if kind.value.startswith(start)))
        for title, start in _GROUPS
    )


def offered(kind: CredentialKind) -> OfferedKind:
    """Give a kind as pages tell of it."""
    about = (CLASSES[kind].__doc__ or "").partition("SECURITY:")[0].strip()
    if kind in SERVED:
        note = ""
    elif kind in COST_KINDS:
        note = "Is kept for clients of env0; no deployment gets it."
    else:
        note = "Is kept for clients of env0; no runner serves it yet, and a deployment that gets it fails."
    return OfferedKind(kind, LABELS[kind], about, note)
