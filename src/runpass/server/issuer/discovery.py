"""The two public documents: provider metadata and JWK Set. Bytes in memory, with an ETag; no database on the path.

We are an issuer of workload identity tokens and nothing else: nobody logs in here. OpenID Connect Discovery 1.0,
section 3, requires an `authorization_endpoint` unless only the implicit flow is used; we leave it out, because naming
an endpoint that does not exist would be worse, and no relying party of workload tokens reads it.
"""

import hashlib
import json
from dataclasses import dataclass

from runpass.server.issuer.claims import supported
from runpass.server.issuer.ring import KeyRing


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document ready to send, and its strong entity tag (RFC 9110, section 8.8.3)."""

    body: bytes
    etag: str


def jwks_document(ring: KeyRing) -> Document:
    """Give the JWK Set of the ring."""
    return _document(ring.jwks())


def provider_metadata(issuer_url: str, jwks_url: str, ring: KeyRing, introspection_url: str | None = None) -> Document:
    """Give the provider metadata; `issuer` is byte-equal to every token's `iss`.

    The introspection endpoint and its methods are members of RFC 8414, section 2.
    """
    introspection = {
        "introspection_endpoint": introspection_url,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
    }
    return _document(
        {
            "issuer": issuer_url,
            "jwks_uri": jwks_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in ring.keys}),
            "scopes_supported": ["openid"],
            "claims_supported": supported(),
            **(introspection if introspection_url else {}),
        }
    )


def _document(value: object) -> Document:
    body = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
