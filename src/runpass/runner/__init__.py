"""The runner: takes a deployment, proves who it is, runs its commands with the secrets, and leaves nothing behind.

Owns: run leases on this machine from start to cleanup, isolation between runs, workspaces, the login to a Vault and
the end of its token, masking. Does not own: which deployment is next and what it is allowed (`runpass.server`), what
the two say to each other (`runpass.protocol`), how one talks to a Vault (`runpass.vault`).
"""
