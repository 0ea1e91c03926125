"""Making a backup of a server, while it runs: its database as it was at one moment, and its master keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass import __version__
from runpass.clock import Clock
from runpass.errors import ConfigurationError
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.db.master_key import needed_keys, require
from runpass.server.db.migrate import head
from runpass.server.keeping.archive import Manifest, write_archive
from runpass.server.keeping.dumping import dumped
from runpass.server.keeping.sealed_stream import FileKey

MASTER_KEY: Final = "master.key"
PREVIOUS_MASTER_KEY: Final = "previous-master.key"
SERVER: Final = "server"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What came of it."""

    manifest: Manifest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Backup:
    """What is backed up, and by whom."""

    database: Database
    cipher: Cipher
    clock: Clock
    actor: str
    kind: str = SERVER

    def write(self, path: Path, key: FileKey, files: Iterable[tuple[str, bytes]]) -> BackedUp:
        """Write the backup to a new file. It is recorded in the audit trail before it is read.

        Raises `Conflict` when the file is there, `ConfigurationError` without the keys that the database needs: a
        backup that nobody can open is none.
        """
        self._record()
        with self.database.read() as tx:
            needed = needed_keys(tx)
            if needed is None:
                raise ConfigurationError("the database is new: no server was ever started on it")
            require(needed, self.cipher)
            key_ids = (needed.current, *([needed.left] if needed.left else []))
            manifest = Manifest(__version__, head(), self.clock.now().isoformat(), self.kind, key_ids)
            return BackedUp(manifest, write_archive(path, key, manifest, files, dumped(tx)))

    def _record(self) -> None:
        with self.database.write() as tx:
            record(tx, AuditEvent(self.clock.now(), self.actor, "instance.backed_up", "instance", "instance"))
