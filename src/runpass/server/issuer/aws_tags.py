"""Session tags in the form that AWS STS reads from a web identity token. Pure.

Source: AWS IAM User Guide, "Pass session tags in AWS STS", section "Passing session tags using
AssumeRoleWithWebIdentity", and the limits of the API reference (`Tag`, `AssumeRoleWithWebIdentity`).
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final

CLAIM: Final = "https://aws.amazon.com/tags"
MAX_TAGS: Final = 50
MAX_KEY: Final = 128
MAX_VALUE: Final = 256
_SIGNS: Final = frozenset("_.:/=+-@")
_KEY: Final = re.compile(r"[A-Za-z0-9_.:/=+@-]+")


def session_tags(tags: Mapping[str, str], transitive: Collection[str] = ()) -> dict[str, Any]:
    """Give the claim's value; of the transitive tags, those that are there.

    A tag whose value AWS would refuse is left out: the whole login would fail with it, and a trust policy that asks for
    the tag refuses either way. Raises `ValueError` for more tags, or other names, than AWS takes.
    """
    if len(tags) > MAX_TAGS or not all(_KEY.fullmatch(key) and len(key) <= MAX_KEY for key in tags):
        raise ValueError("these are no session tags of AWS")
    principal = {key: [value] for key, value in tags.items() if is_value(value)}
    handed_on = [key for key in principal if key in transitive]
    return {"principal_tags": principal} | ({"transitive_tag_keys": handed_on} if handed_on else {})


def is_value(value: str) -> bool:
    r"""Whether AWS takes this text as a tag's value: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, at most 256 characters."""
    return len(value) <= MAX_VALUE and all(item in _SIGNS or unicodedata.category(item)[0] in "LZN" for item in value)
