"""Ending every token that came from one login path, as a command for the operator's own token. Pure."""

import shlex

from runpass.vault.errors import Place


def revoke_prefix_command(place: Place, mount: str, binary: str = "bao") -> str:
    """Give the command that ends all tokens from logins at a mount, and all leases that they hold.

    Vault's words: `sys/leases/revoke-prefix`, which needs `sudo` there. The token comes from the environment
    (`BAO_TOKEN`, `VAULT_TOKEN`). Batch tokens cannot be revoked: they end with their TTL.
    """
    within = [f"-namespace={place.namespace}"] if place.namespace else []
    path = f"sys/leases/revoke-prefix/auth/{mount}/login"
    return shlex.join([binary, "write", f"-address={place.address}", *within, "-force", path])
