"""Credentials for Kubernetes clusters, as env0 has them. Those of a cloud need its own credential as well."""

from pydantic import Field

from runpass.protocol.credentials.fields import Line, SecretFile, Value


class _Cluster(Value):
    cluster_name: Line = Field(title="Cluster Name", description="The cluster's name.", examples=["production"])


class Kubeconfig(Value):
    """A kubeconfig file."""

    kube_config: SecretFile = Field(
        title="Kubeconfig",
        description="The whole file. Encrypted, and never given back.",
        examples=["apiVersion: v1\nkind: Config\n"],
    )


class EksCluster(_Cluster):
    """A cluster of Amazon Web Services."""

    cluster_region: Line = Field(title="Cluster Region", description="The cluster's region.", examples=["us-east-1"])


class AksCluster(_Cluster):
    """A cluster of Azure."""

    resource_group: Line = Field(
        title="Resource Group", description="The resource group of the cluster.", examples=["production"]
    )


class GkeCluster(_Cluster):
    """A cluster of Google Cloud."""

    compute_region: Line = Field(
        title="Compute Region", description="The region of the cluster.", examples=["europe-west3"]
    )
