"""Serving the application with Granian: worker processes, TLS, an end within seconds."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from runpass.observability.logging import configure
from runpass.server.app import build_app
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Everything is opened once before any worker starts, so that what cannot work stops the start with a sentence.
    """
    os.umask(0o077)
    configure(settings.log_level)
    open_parts(settings).close()
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
    configure(settings.log_level)
    return build_app(open_parts(settings))
