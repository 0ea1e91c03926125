"""Values that are no secret by what they are: masking one would tear holes into every log. Pure.

A value is looked for in all that a run prints, so `production` as a "secret" would hide a word that says what happened,
and tell that this word is the value. Such values are not masked; the run's log names the variables that have them.
"""

import re
from typing import Final

COMMON: Final = frozenset(
    """
    account address administrator amazon-linux anonymous apikey authorization backend bearer bucket changeme cluster
    config container credential credentials database debian default deploy deployment destroy develop developer
    development disable disabled docker enable enabled endpoint environment example example.com failure frontend
    function google hashicorp helper information integration internal jenkins kubernetes latest letmein linux/amd64
    linux/arm64 localhost localhost.localdomain manage master message module mongodb namespace network nobody nonprod
    notset number object openbao opentofu oracle output passphrase passw0rd password password1 password123 placeholder
    plaintext platform postgres postgresql preview private production project provider public qwerty rabbitmq readonly
    redacted region registry release resource runner sandbox secret secrets server service shared staging string
    subnet success system tenant terraform testing tokens ubuntu undefined unknown update username variable version
    warning website windows worker workspace
    """.split()  # noqa: SIM905 -- a list of words is read as one
)
"""In lower case, and no shorter than what is masked at all."""

_COMMON_SHAPES: Final = (
    r"[0-9]{1,7}",  # a port, a count, a year, an account's short number
    r"(?P<one>.)(?P=one){0,15}",  # one repeated character
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?",
    r"v?[0-9]{1,4}(?:\.[0-9]{1,4}){1,2}",  # a version
    r"(?:127\.0\.0\.1|0\.0\.0\.0|255\.255\.255\.[0-9]{1,3}|localhost|\[::1?\])(?::[0-9]{1,5})?",
    r"(?:https?|tcp)://(?:127\.0\.0\.1|0\.0\.0\.0|localhost)(?::[0-9]{1,5})?/?",
    r"[a-z]{2}(?:-(?:gov|iso|isob))?-(?:north|south|east|west|central)[a-z]*-[0-9][a-z]?",  # AWS's regions and zones
    r"(?:asia|australia|europe|us|me|africa|northamerica|southamerica)-[a-z]+[0-9](?:-[a-z])?",  # Google's
    r"(?:true|false|yes|no|none|null|nil|on|off)",
    r"-----(?:BEGIN|END) [A-Z0-9 ]{1,60}-----",  # the frame of a key or certificate
)
_SHAPED: Final = re.compile("|".join(f"(?:{shape})" for shape in _COMMON_SHAPES), re.IGNORECASE | re.DOTALL)
_LONGEST: Final = 100


def is_common(value: str) -> bool:
    """Whether the value is a word, number, date, region or the like that stands in many logs."""
    return len(value) <= _LONGEST and (value.lower() in COMMON or _SHAPED.fullmatch(value) is not None)
