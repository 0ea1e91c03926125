"""The protocol's version, and the header that carries it."""

from typing import Final

PROTOCOL_VERSION: Final = 2
"""Raised when an older runner would misunderstand a message; new optional fields do not raise it."""

VERSION_HEADER: Final = "Runpass-Protocol"
LEASE_SECRET_HEADER: Final = "Runpass-Lease-Secret"  # noqa: S105 -- a header's name
"""Carries the run lease's secret: opaque, one per lease, useless at every other door."""

PREFIX: Final = "/runner/v1"
"""All doors of the runner protocol stand below this path."""
