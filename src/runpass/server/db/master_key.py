"""Which master keys the database needs. It says so itself, so that all servers of one database do the same.

`master_key_id` is the key that everything is sealed with from now on. `left_master_key_id` stands beside it while the
master key is being changed: some columns may still need the key that is being left.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select

from runpass.errors import ConfigurationError, Conflict
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction, insert_into
from runpass.server.db.schema.instance import instance

_CURRENT: Final = "master_key_id"
_LEFT: Final = "left_master_key_id"


@dataclass(frozen=True, slots=True)
class NeededKeys:
    """The ids of the master keys that sealed columns may need."""

    current: str
    left: str | None = None


def needed_keys(tx: Transaction) -> NeededKeys | None:
    """Give the keys that the database needs; None for one that nothing was ever sealed in."""
    query = select(instance.c.name, instance.c.value).where(instance.c.name.in_([_CURRENT, _LEFT]))
    found = {row.name: row.value for row in tx.execute(query)}
    return NeededKeys(found[_CURRENT], found.get(_LEFT)) if _CURRENT in found else None


def follow(database: Database, cipher: Cipher) -> None:
    """Let the cipher seal with the key that the database says. With one that it does not have it seals nothing."""
    with database.read() as tx:
        needed = needed_keys(tx)
    if needed is not None and cipher.sealing_key_id != needed.current:
        cipher.seal_with(needed.current)


def check_master_key(database: Database, cipher: Cipher) -> None:
    """Refuse a start without every master key that sealed columns may need; a new database takes the one it gets.

    Raises `ConfigurationError` that says which key id was expected.
    """
    with database.read() as tx:
        needed = needed_keys(tx)
    if needed is None:
        try:
            with database.write() as tx:
                tx.execute(instance.insert().values(name=_CURRENT, value=cipher.key_id))
        except Conflict:
            return check_master_key(database, cipher)
        return cipher.seal_with(cipher.key_id)
    require(needed, cipher)
    cipher.seal_with(needed.current)
    return None


def require(needed: NeededKeys, cipher: Cipher) -> None:
    """Raise `ConfigurationError` when the cipher lacks a key that sealed columns may need."""
    if needed.current not in cipher.key_ids:
        has = " and ".join(sorted(cipher.key_ids))
        raise ConfigurationError(
            f"the database needs master key {needed.current}, this one is {has}",
            hint="give the server the key with that id: master_key_file, or previous_master_key_file while changing it",
        )
    if needed.left is not None and needed.left not in cipher.key_ids:
        raise ConfigurationError(
            f"the master key is being changed, and the database still needs {needed.left} beside {needed.current}",
            hint="give the server both (previous_master_key_file) until runpass keys reencrypt says that it is done",
        )


def begin_change(tx: Transaction, to: str) -> bool:
    """Say that everything is sealed with this key from now on; whether it was another one before.

    Whoever gave up half way may go back: the two keys then change places.
    """
    needed = needed_keys(tx)
    if needed is None or needed.current == to:
        return False
    _put(tx, _CURRENT, to)
    _put(tx, _LEFT, needed.current)
    return True


def finish_change(tx: Transaction) -> str | None:
    """Say that no column needs the key that was left any more; give its id, None if there was none."""
    needed = needed_keys(tx)
    tx.execute(delete(instance).where(instance.c.name == _LEFT))
    return None if needed is None else needed.left


def _put(tx: Transaction, name: str, value: str) -> None:
    put = insert_into(tx, instance).values(name=name, value=value)
    tx.execute(put.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
