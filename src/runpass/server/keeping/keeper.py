"""The background work of this room."""

from datetime import timedelta

import structlog

from runpass.clock import Clock
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.db.master_key import follow
from runpass.server.deployments.keeper import again_and_again
from runpass.server.keeping.deployment_retention import DeploymentRetention
from runpass.server.keeping.reencrypting import FOLLOW_EVERY_SECONDS
from runpass.server.keeping.retention import LogRetention, forget_events
from runpass.server.settings import ServerSettings

_log = structlog.get_logger(__name__)
FORGET_EVERY_SECONDS = 60.0


async def follow_master_key(database: Database, cipher: Cipher) -> None:
    """Seal with the master key that the database says, for as long as the server runs."""
    await again_and_again(lambda: follow_once(database, cipher), FOLLOW_EVERY_SECONDS)


def follow_once(database: Database, cipher: Cipher) -> None:
    """Look once; tell the log when the database went on to another key."""
    before = cipher.sealing_key_id
    follow(database, cipher)
    after = cipher.sealing_key_id
    if after is None and before is not None:
        _log.error("master_key.missing", had=before)
    elif after != before:
        _log.info("master_key.changed", key_id=after, before=before)


async def forget_old_logs(database: Database, clock: Clock, settings: ServerSettings) -> None:
    """Forget logs that are old enough, for as long as the server runs; without a retention there is nothing to do."""
    if settings.log_retention_days:
        logs = LogRetention(database, clock, timedelta(days=settings.log_retention_days))
        await again_and_again(lambda: _tell("logs.forgotten", logs.work()), FORGET_EVERY_SECONDS)


async def forget_old_deployments(database: Database, clock: Clock, settings: ServerSettings) -> None:
    """Forget deployments that are old enough, for as long as the server runs; without a retention there is nothing."""
    if settings.deployment_retention_days:
        found = DeploymentRetention(database, clock, timedelta(days=settings.deployment_retention_days))
        await again_and_again(lambda: _tell("deployments.forgotten", found.work()), FORGET_EVERY_SECONDS)


async def forget_old_events(database: Database, clock: Clock, settings: ServerSettings) -> None:
    """Prune the audit trail, for as long as the server runs; without a retention there is nothing to do."""
    if settings.audit_retention_days:
        keep_for = timedelta(days=settings.audit_retention_days)
        await again_and_again(
            lambda: _tell("audit.pruned", forget_events(database, clock, keep_for)), FORGET_EVERY_SECONDS
        )


def _tell(event: str, number: int) -> None:
    if number:
        _log.info(event, number=number)
