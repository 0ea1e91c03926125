"""Serving the application with Granian: worker processes, TLS, an end within seconds."""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from runpass.observability.logging import configure
from runpass.server.app import build_app
from runpass.server.opening import Parts, open_parts
from runpass.server.settings import ServerSettings

_PARENT_DEATH_SIGNAL: Final = 1  # <linux/prctl.h>
_ARENA_MAX: Final = -8  # <malloc.h>
_ARENAS: Final = 2
_OBJECTS_BETWEEN_COLLECTIONS: Final = 10_000
"""Python's own 700 are fewer than a few requests at once are made of: a tenth of a worker's CPU went into looking."""


def serve(settings: ServerSettings, once_opened: Callable[[Parts], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Everything is opened once before any worker starts, so that what cannot work stops the start with a sentence;
    `once_opened` is told of it once, however many workers there will be.
    """
    os.umask(0o077)
    configure(settings.log_level)
    parts = open_parts(settings)
    try:
        once_opened(parts)
    finally:
        parts.close()
    server = Granian(
        "runpass.server.app",
        address=settings.listen_host,
        port=settings.listen_port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        websockets=False,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        log_enabled=True,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: ServerSettings) -> Callable[..., Any]:
    _end_with_the_parent()
    _share_memory()
    configure(settings.log_level)
    app = build_app(open_parts(settings))
    _collect_seldom()
    return app


def _end_with_the_parent() -> None:
    """Have the kernel end this worker when the process that started it is gone, even by SIGKILL.

    A worker that outlived it would keep the port and go on answering beside the server that takes its place.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PARENT_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent.pid:  # it went before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def _share_memory() -> None:
    """Have threads share arenas of memory. glibc would give each its own, up to eight for each core, and keep them."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def _collect_seldom() -> None:
    """Have Python look for cycles less often, and never again among what was there before the first request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
