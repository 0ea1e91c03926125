"""The operator's own Vault token: from a file, the environment, or what is typed; never stored."""

from pathlib import Path
from typing import TYPE_CHECKING

from runpass.cli.secret_files import read_secret
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.secret import Secret


def operator_token(file: Path | None) -> "Secret":
    """Give the operator's token: the file that was named, the environment, or what is typed.

    Raises `InvalidInput` if there is none.
    """
    from runpass.cli.settings import vault_token
    from runpass.secret import Secret

    found = vault_token() if file is None else None
    if found is None:
        found = Secret(read_secret(file, "Vault token").reveal().strip())
    if not found:
        raise InvalidInput("there is no Vault token", hint="set BAO_TOKEN or VAULT_TOKEN, or use --token-file")
    return found
