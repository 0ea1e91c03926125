"""Every query on signing keys. The private half is sealed to its row, and to the organization whose issuer it is of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, select, update

from runpass.server.db.encryption import Cipher, CorruptColumn, Place
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.issuer import signing_key_changes, signing_keys
from runpass.server.issuer.algorithms import load_private, public_jwk
from runpass.server.issuer.keys import PUBLISHED, IssuerScope, KeyRecord, KeyState, SigningKey

BEFORE_ALL: Final = -1
"""The number of a change before the first one."""
_THE_ROW: Final = 1
_MOMENTS: Final = (
    "created_at",
    "published_at",
    "activated_at",
    "retired_at",
    "gone_at",
    "last_token_expires_at",
    "rotation_wanted_at",
    "confirmed_at",
)


def next_change(tx: Transaction) -> int:
    """Give this change its number, and keep every other change of keys waiting until the transaction ends.

    Changes so become visible in the order of their numbers: whoever has seen one has seen all before it.
    """
    first = insert_into(tx, signing_key_changes).values(id=_THE_ROW, seq=1)
    counted = first.on_conflict_do_update(index_elements=["id"], set_={"seq": signing_key_changes.c.seq + 1})
    return int(tx.execute(counted.returning(signing_key_changes.c.seq)).scalar_one())


def last_change(tx: Transaction) -> int:
    """Give the number of the last change of any key; 0 when there was none."""
    query = select(signing_key_changes.c.seq).where(signing_key_changes.c.id == _THE_ROW)
    return tx.execute(query).scalar_one_or_none() or 0


def changed_issuers(tx: Transaction, after: int) -> set[IssuerScope]:
    """Give whose keys have changed after the change of this number."""
    query = select(signing_keys.c.organization_id).where(signing_keys.c.change_seq > after)
    return set(tx.execute(query).scalars())


def with_keys(tx: Transaction, organizations: Collection[UUID]) -> set[UUID]:
    """Give those of some organizations whose keys are published, or are just being replaced because they leaked."""
    states = [state.value for state in (*PUBLISHED, KeyState.COMPROMISED)]
    theirs = signing_keys.c.organization_id.in_(organizations) & signing_keys.c.state.in_(states)
    return set(tx.execute(select(signing_keys.c.organization_id).where(theirs)).scalars())


def insert_key(tx: Transaction, cipher: Cipher, key: SigningKey) -> None:
    """Store a key, its private half encrypted. Raises `Conflict` for a `kid` that was ever there."""
    sealed = cipher.seal(key.private_der(), _place(key))
    values = _values(key) | {"private_key_sealed": sealed, "change_seq": next_change(tx)}
    tx.execute(signing_keys.insert().values(**values))


def change_key(tx: Transaction, after: KeyRecord, change: int) -> None:
    """Write what has become of a key. One that is gone, or compromised and destroyed, loses its private half.

    It was read in the same transaction, after `next_change` had given `change`: nobody else can have touched it.
    """
    values = _values(after) | {"change_seq": change}
    if after.state is KeyState.GONE or after.gone_at is not None:
        values["private_key_sealed"] = None
    tx.execute(update(signing_keys).where(signing_keys.c.kid == after.kid).values(**values))


def list_records(tx: Transaction, issuer: IssuerScope, *, with_gone: bool = False) -> list[KeyRecord]:
    """Give the keys of one issuer, oldest first; those that are gone only when asked for."""
    return [_record(row) for row in _rows(tx, issuer, with_gone=with_gone)]


def get_record(tx: Transaction, kid: str) -> KeyRecord | None:
    """Give one key, whoever's it is."""
    row = tx.execute(select(signing_keys).where(signing_keys.c.kid == kid)).one_or_none()
    return None if row is None else _record(row)


def states_of(tx: Transaction, kids: Collection[str]) -> Mapping[str, KeyState]:
    """Give the state of each of these keys that is known here."""
    query = select(signing_keys.c.kid, signing_keys.c.state).where(signing_keys.c.kid.in_(kids))
    return {kid: KeyState(state) for kid, state in tx.execute(query)} if kids else {}


def list_sealed(tx: Transaction, issuer: IssuerScope) -> list[tuple[KeyRecord, bytes]]:
    """Give the keys of one issuer that are not gone, oldest first, with their sealed private halves."""
    return [(_record(row), row.private_key_sealed or b"") for row in _rows(tx, issuer, with_gone=False)]


def load_key(tx: Transaction, cipher: Cipher, record: KeyRecord) -> SigningKey:
    """Read the private half of a key. Raises `CorruptColumn` when it does not open."""
    query = select(signing_keys.c.private_key_sealed).where(signing_keys.c.kid == record.kid)
    return open_key(cipher, record, tx.execute(query).scalar_one_or_none() or b"")


def open_key(cipher: Cipher, record: KeyRecord, sealed: bytes) -> SigningKey:
    """Give a key with its private half.

    SECURITY: the public half is not sealed, so it is compared with the private one: whoever can only write to the
    database cannot publish a key of their own. Raises `CorruptColumn` when it does not open, or is another key's.
    """
    try:
        private_key = load_private(cipher.unseal(sealed, _place(record)))
    except (ValueError, TypeError) as error:
        raise CorruptColumn(f"signing_keys.private_key_sealed of {record.kid} is no private key") from error
    jwk = public_jwk(private_key.public_key())
    if jwk != record.public_jwk or (jwk["kid"], jwk["alg"]) != (record.kid, record.algorithm):
        raise CorruptColumn(f"signing_keys.public_jwk of {record.kid} is not the public half of its private key")
    facts = {item.name: getattr(record, item.name) for item in fields(record)}
    return SigningKey(**facts, private_key=private_key)


def _place(key: KeyRecord) -> Place:
    return Place("signing_keys", "private_key_sealed", key.kid, key.issuer)


def _rows(tx: Transaction, issuer: IssuerScope, *, with_gone: bool) -> Sequence[Row[Any]]:
    states = list(KeyState) if with_gone else PUBLISHED
    wanted = _of(issuer) & signing_keys.c.state.in_([state.value for state in states])
    return tx.execute(select(signing_keys).where(wanted).order_by(signing_keys.c.created_at, signing_keys.c.kid)).all()


def _of(issuer: IssuerScope) -> ColumnElement[bool]:
    column = signing_keys.c.organization_id
    return column.is_(None) if issuer is None else column == issuer


def _values(key: KeyRecord) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "organization_id": key.issuer,
        "algorithm": key.algorithm,
        "state": key.state.value,
        "public_jwk": key.public_jwk,
        "confirmation_awaited": key.confirmation_awaited,
        "longest_token_seconds": int(key.longest_token.total_seconds()),
        **{name: getattr(key, name) for name in _MOMENTS},
    }


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        kid=row.kid,
        issuer=row.organization_id,
        algorithm=row.algorithm,
        state=KeyState(row.state),
        public_jwk=row.public_jwk,
        longest_token=timedelta(seconds=row.longest_token_seconds),
        confirmation_awaited=row.confirmation_awaited,
        **{name: getattr(row, name) for name in _MOMENTS},
    )
