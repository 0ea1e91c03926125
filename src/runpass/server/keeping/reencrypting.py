"""A new master key: every sealed column is opened and sealed again with it, while servers go on.

The change is said in the database first; servers, which have both keys, seal with the new one within a second. Then
every column is gone through until none is left, and at last each value is opened. Nothing is remembered
in between: a value says itself which key it needs, so the work can be killed at any moment and begun again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, update

from runpass.clock import Clock
from runpass.errors import Conflict
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import HEADER_BYTES, Cipher, CorruptColumn, header, sealed_with
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.master_key import begin_change, finish_change, needed_keys, require
from runpass.server.keeping.sealed_columns import SEALED_COLUMNS, SealedColumn

FOLLOW_EVERY_SECONDS: Final = 0.5
"""How often a server asks which master key to seal with."""
SETTLE_SECONDS: Final = 3.0
"""How long after the change was said the last value may still be sealed with the key that was left."""
BATCH: Final = 200
"""Values that are sealed again in one transaction, which keeps others waiting on SQLite."""
PASSES: Final = 100


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What came of it. `corrupt` says of each value that does not open where it stands, never what."""

    key_id: str
    left_key_id: str | None
    values: int
    changed: int
    corrupt: tuple[str, ...]
    finished: bool


@dataclass(frozen=True, slots=True)
class Reencryption:
    """The work, with what it works on."""

    database: Database
    cipher: Cipher
    clock: Clock
    actor: str
    pause: Callable[[float], object]
    """Waits for so many seconds."""
    settle_seconds: float = SETTLE_SECONDS
    batch: int = BATCH

    def run(self, *, leave_corrupt: bool = False) -> Reencrypted:
        """Seal everything with the cipher's first master key; give what came of it.

        Raises `ConfigurationError` without a key that is needed, `Conflict` when others seal with the old key all the
        time. Values that do not open keep the change from being finished, unless they are to be left.
        """
        self._begin()
        target, changed = self.cipher.key_id, 0
        said_at = self.clock.monotonic()
        for _ in range(PASSES):
            changed += sum(self._reseal(column) for column in SEALED_COLUMNS)
            self.pause(max(0.0, said_at + self.settle_seconds - self.clock.monotonic()))
            values, stale, corrupt = self._verify()
            if stale:
                continue
            if corrupt and not leave_corrupt:
                return Reencrypted(target, self._left(), values, changed, corrupt, finished=False)
            return Reencrypted(target, self._finish(), values, changed, corrupt, finished=True)
        raise Conflict(
            "values appear all the time that are sealed with the key that is being left",
            hint="restart every server with the new key as master_key_file",
        )

    def _begin(self) -> None:
        with self.database.write() as tx:
            needed = needed_keys(tx)
            if needed is not None:
                require(needed, self.cipher)
            if begin_change(tx, self.cipher.key_id):
                self._record(tx, "change_begun")
        self.cipher.seal_with(self.cipher.key_id)

    def _finish(self) -> str | None:
        with self.database.write() as tx:
            left = finish_change(tx)
            if left is not None:
                self._record(tx, "changed")
        return left

    def _left(self) -> str | None:
        with self.database.read() as tx:
            needed = needed_keys(tx)
        return None if needed is None else needed.left

    def _record(self, tx: Transaction, what: str) -> None:
        key_id = self.cipher.key_id
        record(tx, AuditEvent(self.clock.now(), self.actor, f"master_key.{what}", "master_key", key_id))

    def _reseal(self, column: SealedColumn) -> int:
        """Go through a column once; give how many values were sealed again."""
        changed, last = 0, column.before_all
        while True:
            with self.database.write() as tx:
                rows = self._stale(tx, column, last)
                changed += sum(self._reseal_one(tx, column, row) for row in rows)
            if not rows:
                return changed
            last = rows[-1].key

    def _stale(self, tx: Transaction, column: SealedColumn, after: Any) -> Sequence[Any]:
        """Give the next values that the new key does not open.

        Rows that somebody is changing are skipped: whoever never waits for a lock is in nobody's way, and a later pass
        finds them.
        """
        begins = func.substr(column.column, 1, HEADER_BYTES)
        query = select(column.key.label("key"), column.table.c.organization_id, column.column.label("sealed"))
        query = query.where(column.key > after, column.column.is_not(None), begins != header(self.cipher.key_id))
        return tx.execute(query.order_by(column.key).limit(self.batch).with_for_update(skip_locked=True)).all()

    def _reseal_one(self, tx: Transaction, column: SealedColumn, row: Any) -> bool:
        place = column.place(row)
        try:
            value = self.cipher.unseal(row.sealed, place)
        except CorruptColumn:
            return False  # it stays as it is; the verification names it
        changed = (
            update(column.table).where(column.key == row.key).values({column.name: self.cipher.seal(value, place)})
        )
        tx.execute(changed)
        return True

    def _verify(self) -> tuple[int, int, tuple[str, ...]]:
        """Open every value; give how many there are, how many are good but of the old key, and which do not open."""
        values, stale, corrupt = 0, 0, list[str]()
        for column in SEALED_COLUMNS:
            for row in self._all(column):
                values += 1
                try:
                    self.cipher.unseal(row.sealed, column.place(row))
                except CorruptColumn as error:
                    corrupt.append(error.message)
                else:
                    stale += sealed_with(row.sealed) != self.cipher.key_id
        return values, stale, tuple(corrupt)

    def _all(self, column: SealedColumn) -> Iterator[Any]:
        last = column.before_all
        while True:
            query = select(column.key.label("key"), column.table.c.organization_id, column.column.label("sealed"))
            query = query.where(column.key > last, column.column.is_not(None))
            with self.database.read() as tx:
                rows = tx.execute(query.order_by(column.key).limit(self.batch)).all()
            if not rows:
                return
            yield from rows
            last = rows[-1].key
