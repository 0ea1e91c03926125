"""The background work of this room."""

import structlog

from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.db.master_key import follow
from runpass.server.deployments.keeper import again_and_again
from runpass.server.keeping.reencrypting import FOLLOW_EVERY_SECONDS

_log = structlog.get_logger(__name__)


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
