"""How a Vault changes what is written to it: a parameter's value as it can be compared with what is read back. Pure.

Null, empty list, empty map, empty text, 0 and false are the same; lists that are sets have no order; policies of tokens
are lower case; addresses and certificates have one spelling.
"""

import json
from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from typing import Any, Final


def normal(name: str, value: Any) -> Any:
    """Give a parameter's value as it can be compared; every kind of empty is None."""
    if not value:
        return None
    try:
        return _NORMAL[name](value) if name in _NORMAL else value
    except (AttributeError, TypeError):
        return value  # not what a Vault answers; it differs from whatever is wanted


def _claim(value: Any) -> Any:
    """Give a bound claim's value, keeping JSON's types apart (`True` is not 1); one value is a list of one."""
    return sorted({json.dumps(item) for item in (value if isinstance(value, list) else [value])})


def _address(text: object) -> str:
    try:
        address = ip_interface(str(text).strip())
    except ValueError:
        return str(text)
    return str(address.ip) if address.network.prefixlen == address.max_prefixlen else str(address)


def _set(value: Any) -> list[str]:
    return sorted({str(item).strip() for item in value})


_NORMAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    "token_policies": lambda value: sorted({str(item).lower() for item in value}),
    "token_bound_cidrs": lambda value: sorted({_address(item) for item in value}),
    "bound_audiences": _set,
    "jwt_supported_algs": _set,
    "jwt_validation_pubkeys": _set,
    "bound_claims": lambda value: {key: _claim(item) for key, item in value.items()},
    "default_role": lambda value: value.lower(),
    "jwks_ca_pem": lambda value: value.strip(),
    "oidc_discovery_ca_pem": lambda value: value.strip(),
    "token_type": lambda value: None if value == "default" else value,
}
"""How the Vault changes what is written; other parameters read back as they are."""
