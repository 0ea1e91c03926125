"""Where an auth mount takes the issuer's keys from: one of three ways, chosen for each Vault. Pure.

`JwksUrl` and `DiscoveryUrl` are fetched by the Vault itself. `PushedKeys` is for an issuer that the Vault cannot reach:
nothing is fetched, and a rotation of the issuer's keys is a difference that the operator applies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final


@dataclass(frozen=True, slots=True)
class JwksUrl:
    """The Vault fetches the key set from this URL."""

    parameter: ClassVar[str] = "jwks_url"
    ca_parameter: ClassVar[str] = "jwks_ca_pem"
    url: str
    ca_pem: str | None = None
    """Authorities (PEM) for that URL; None is not owned here, an empty text stands for those of the Vault's machine."""

    def parameters(self) -> dict[str, Any]:
        """Give what is owned of the mount's configuration."""
        return _fetched(self.parameter, self.url, self.ca_parameter, self.ca_pem)


@dataclass(frozen=True, slots=True)
class DiscoveryUrl:
    """The Vault fetches `<url>/.well-known/openid-configuration`, and the key set that it names."""

    parameter: ClassVar[str] = "oidc_discovery_url"
    ca_parameter: ClassVar[str] = "oidc_discovery_ca_pem"
    url: str
    ca_pem: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Give what is owned of the mount's configuration."""
        return _fetched(self.parameter, self.url, self.ca_parameter, self.ca_pem)


@dataclass(frozen=True, slots=True)
class PushedKeys:
    """The Vault has the public keys (PEM) and fetches nothing."""

    parameter: ClassVar[str] = "jwt_validation_pubkeys"
    ca_parameter: ClassVar[str] = ""
    pems: tuple[str, ...]

    def parameters(self) -> dict[str, Any]:
        """Give what is owned of the mount's configuration."""
        return {self.parameter: list(self.pems)}


KeySource = JwksUrl | DiscoveryUrl | PushedKeys

PARAMETERS: Final = ("jwks_url", "oidc_discovery_url", "jwt_validation_pubkeys", "jwks_pairs", "provider_config")
"""Every parameter that names a key source: a Vault takes exactly one of them."""
OF_A_SOURCE: Final = frozenset({*PARAMETERS, "jwks_ca_pem", "oidc_discovery_ca_pem", "oidc_client_id"})
"""What belongs to one key source and means nothing, or harm, to another."""


def others(source: KeySource, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the key sources that a configuration names besides this kind."""
    return tuple(name for name in PARAMETERS if name != source.parameter and config.get(name))


def _fetched(name: str, url: str, ca_name: str, ca_pem: str | None) -> dict[str, Any]:
    return {name: url} if ca_pem is None else {name: url, ca_name: ca_pem}
