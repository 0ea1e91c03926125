"""Structured logs of both programs: one JSON object per line on standard error, and never a secret."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO, cast

import structlog

from runpass.secret import PLACEHOLDER, Secret

MAX_DEPTH = 4
"""How deep into lists and mappings the search for secrets goes; deeper values are not logged at all."""


_threshold = logging.NOTSET


def says_info() -> bool:
    """Whether anybody would see a line of level `info`: asking this costs a tenth of a line that is thrown away."""
    return _threshold <= logging.INFO


def configure(level: str = "info") -> None:
    """Send all structlog output of this process to standard error, as JSON."""
    global _threshold  # noqa: PLW0603 -- as structlog's own configuration
    _threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(default=_unknown),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_threshold),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )


@contextlib.contextmanager
def told_on_standard_error(level: str = "warning") -> Iterator[None]:
    """Send structlog output to standard error for a while: of a command, whose standard output is for programs."""
    global _threshold  # noqa: PLW0603 -- as structlog's own configuration
    before, threshold = structlog.get_config(), _threshold
    configure(level)
    try:
        yield
    finally:
        structlog.configure(**before)
        _threshold = threshold


class _Unfailing:
    """A file, as far as it takes anything: a full disk below it must not keep a cleanup from its work."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write, or lose the line."""
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Send what was written on its way, or lose it."""
        with contextlib.suppress(OSError):
            self._file.flush()


def hide_secrets(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Give the event with every `Secret` in it replaced by a placeholder."""
    return {key: _without_secrets(value, MAX_DEPTH) for key, value in event.items()}


def _without_secrets(value: Any, depth: int) -> Any:
    if isinstance(value, Secret):
        return PLACEHOLDER
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return value
    if depth == 0:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {str(key): _without_secrets(item, depth - 1) for key, item in value.items()}
    return [_without_secrets(item, depth - 1) for item in value]


def _unknown(value: object) -> str:
    # SECURITY: a record's repr could hold what it was made of; its type's name cannot.
    return (
        str(value) if isinstance(value, Exception) or type(value).__module__ == "uuid" else f"<{type(value).__name__}>"
    )
