"""What a Vault read gave, from a file: checked, and every wrong field named. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from runpass.errors import FieldError, InvalidInput
from runpass.vault.errors import visible
from runpass.vault.lint.view import duration

_TEXT: Final = (
    "bound_subject", "user_claim", "groups_claim", "bound_claims_type", "role_type", "token_type", "bound_issuer",
    "jwks_url", "oidc_discovery_url", "default_role", "jwks_ca_pem", "oidc_discovery_ca_pem", "oidc_client_id",
    "status",
)  # fmt: skip
_TEXTS: Final = (
    "bound_audiences", "token_policies", "policies", "jwt_supported_algs", "jwt_validation_pubkeys",
    "audit_non_hmac_request_keys", "audit_non_hmac_response_keys",
)  # fmt: skip
_SECONDS: Final = (
    "token_ttl", "token_max_ttl", "token_explicit_max_ttl", "token_period", "token_num_uses", "clock_skew_leeway",
    "expiration_leeway", "not_before_leeway", "default_lease_ttl", "max_lease_ttl",
)  # fmt: skip
_FLAGS: Final = (
    "user_claim_json_pointer", "verbose_oidc_logging", "token_no_default_policy", "token_policies_template_claims",
)  # fmt: skip
_MAPS: Final = ("bound_claims", "claim_mappings", "cel_program")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_SHAPES: Final[tuple[tuple[tuple[str, ...], Callable[[object], bool], str], ...]] = (
    (_TEXT, lambda value: isinstance(value, str), "must be a text"),
    (_TEXTS, _is_texts, "must be a list of texts"),
    (_SECONDS, lambda value: duration(value) is not None, "must be a number of seconds"),
    (_FLAGS, lambda value: isinstance(value, bool), "must be true or false"),
    (_MAPS, lambda value: isinstance(value, dict), "must be an object"),
)


def parse(text: str, what: str) -> Mapping[str, Any] | None:
    """Give the `data` of a read, be it alone or inside the whole answer; None for `null`: it is not there.

    Raises `InvalidInput` that names the line of what is not JSON, or every field of a wrong type; no value.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        raise InvalidInput.of(what, message) from None
    except RecursionError:
        raise InvalidInput.of(what, "is nested too deeply") from None
    if isinstance(content, dict) and isinstance(content.get("data"), dict) and "request_id" in content:
        content = content["data"]
    if content is None:
        return None
    if not isinstance(content, dict):
        raise InvalidInput.of(what, "must be a JSON object: the data of a read")
    wrong = tuple(
        FieldError(f"{what}: {name}", must)
        for names, fits, must in _SHAPES
        for name in names
        if content.get(name) is not None and not fits(content[name])
    )
    if wrong:
        raise InvalidInput("; ".join(f"{visible(item.field, 255)} {item.message}" for item in wrong), wrong)
    return content
