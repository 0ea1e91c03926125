"""The control plane: one room per concern, each with its own doors, rules and SQL.

Owns: issuer, API, queue, the runners' door, the database. Does not own: anything that touches a Vault. The server
never opens a connection to a Vault, never holds a deployment's Vault token and never sees a value read from Vault.
"""
