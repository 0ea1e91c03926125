"""The value of a credential, put together from options and files. No secret is an argument."""

import json
from pathlib import Path
from typing import Any

from runpass.cli.secret_files import read_secret
from runpass.errors import FieldError, InvalidInput

VAULT_OIDC = "VAULT_OIDC"
_NEEDED = {"address": "--address", "roleName": "--role"}


def value_of(kind: str, value_file: Path | None, options: dict[str, Any], files: dict[str, Path | None]) -> object:
    """Give the `value` of a credential: from a file of JSON, or, for a Vault, from its fields and files of PEM.

    Raises `InvalidInput` for options that are missing or exclude one another.
    """
    given = {name: item for name, item in options.items() if item is not None}
    if value_file is not None:
        if any(name in given for name in _NEEDED):
            raise InvalidInput("--value-file and the options of a Vault exclude one another")
        return _object(value_file)
    if kind != VAULT_OIDC:
        raise InvalidInput(f"a credential of type {kind} needs its --value-file")
    missing = tuple(FieldError(option, "is required") for name, option in _NEEDED.items() if name not in given)
    if missing:
        raise InvalidInput("; ".join(f"{item.field}: {item.message}" for item in missing), missing)
    texts = {name: read_secret(file, name).reveal() for name, file in files.items() if file is not None}
    return given | texts


def _object(file: Path) -> object:
    try:
        found = json.loads(read_secret(file, "value").reveal())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(f"the file {file} does not hold a JSON object")
    return found
