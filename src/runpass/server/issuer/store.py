"""Every query on signing keys. The private half is sealed to its row."""

from sqlalchemy import select

from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.issuer.keys import KeyState, SigningKey, load_private


def _place(kid: str) -> Place:
    return Place("signing_keys", "private_key_sealed", kid)


def insert_key(tx: Transaction, cipher: Cipher, key: SigningKey) -> None:
    """Store a key, its private half encrypted."""
    tx.execute(
        signing_keys.insert().values(
            kid=key.kid,
            algorithm=key.algorithm,
            state=key.state.value,
            public_jwk=key.public_jwk,
            private_key_sealed=cipher.seal(key.private_der(), _place(key.kid)),
            created_at=key.created_at,
        )
    )


def load_keys(tx: Transaction, cipher: Cipher) -> tuple[SigningKey, ...]:
    """Give every key, oldest first. Raises `CorruptColumn` for one that does not open."""
    rows = tx.execute(select(signing_keys).order_by(signing_keys.c.created_at)).all()
    return tuple(
        SigningKey(
            kid=row.kid,
            algorithm=row.algorithm,
            state=KeyState(row.state),
            created_at=row.created_at,
            public_jwk=row.public_jwk,
            private_key=load_private(cipher.unseal(row.private_key_sealed, _place(row.kid))),
        )
        for row in rows
    )
