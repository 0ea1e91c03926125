"""A valid value of every kind of credential. What is secret in them has `CANARY` in it, or is the key of `CLIENT`."""

import json
from typing import Any

from authority import Authority
from runpass.protocol.credentials import CredentialKind

CANARY = "canary-9b3d"
ROLE = {"roleArn": "arn:aws:iam::123456789012:role/deploy", "duration": 3600}
APPLICATION = {"clientId": "client", "subscriptionId": "subscription", "tenantId": "tenant"}
KEY_FILE = json.dumps({"type": "service_account", "private_key": CANARY})
CLIENT = Authority().client()
VAULT = {
    "address": "https://vault.example.com:8200",
    "version": "1.18.0",
    "roleName": "deploy",
    "jwtAuthBackendPath": "jwt",
}
VALUES: dict[CredentialKind, dict[str, Any]] = {
    CredentialKind.VAULT_OIDC: {**VAULT, "clientCertificate": CLIENT.certificate, "clientKey": CLIENT.key},
    CredentialKind.AWS_OIDC: {**ROLE, "tokenFormat": "v2"},
    CredentialKind.AZURE_OIDC: {**APPLICATION, "clientSecret": ""},
    CredentialKind.GCP_OIDC: {"credentialConfigurationFileContent": KEY_FILE},
    CredentialKind.AWS_ASSUMED_ROLE_FOR_DEPLOYMENT: ROLE,
    CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT: {"accessKeyId": "AKIA", "secretAccessKey": CANARY, "roleArn": ""},
    CredentialKind.AWS_ASSUMED_ROLE: ROLE,
    CredentialKind.GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT: {"projectId": "p-1", "serviceAccountKey": KEY_FILE},
    CredentialKind.GCP_CREDENTIALS: {"tableid": "a.b.c", "secret": KEY_FILE},
    CredentialKind.AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT: {**APPLICATION, "clientSecret": CANARY},
    CredentialKind.AZURE_CREDENTIALS: {**APPLICATION, "clientSecret": CANARY},
    CredentialKind.OCI_API_KEY_FOR_DEPLOYMENT: {
        "tenancyOcid": "ocid1.tenancy",
        "userOcid": "ocid1.user",
        "fingerprint": "12:34",
        "privateKey": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n",
        "region": "eu-frankfurt-1",
    },
    CredentialKind.K8S_KUBECONFIG_FILE: {"kubeConfig": f"apiVersion: v1\ntoken: {CANARY}\n"},
    CredentialKind.K8S_EKS_AUTH: {"clusterName": "c", "clusterRegion": "us-east-1"},
    CredentialKind.K8S_AZURE_AKS_AUTH: {"clusterName": "c", "resourceGroup": "g"},
    CredentialKind.K8S_GCP_GKE_AUTH: {"clusterName": "c", "computeRegion": "r"},
}
