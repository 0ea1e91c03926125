"""All that runpass knows about HashiCorp Vault and OpenBao; usable without server or runner.

Owns: the HTTP client, the JWT login and what its refusals mean, sessions, secret references and KV reads, and what
should exist in a Vault (`desired`), how that differs from what does, and its repair (`reconcile`).
Does not own: credentials, run leases or identity tokens; it is handed an address, a role and a JWT.
`desired` and `difference` are pure: they read nothing and connect nowhere.
"""
