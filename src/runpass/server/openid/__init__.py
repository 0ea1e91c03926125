"""Signing in to the console with an OpenID Connect provider (OpenID Connect Core 1.0, RFC 6749, 7636, 9207).

Owns the provider's side, what its groups mean here, and the accounts it vouches for. Sessions and people are
`access`'s.
"""
