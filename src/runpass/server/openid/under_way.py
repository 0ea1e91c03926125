"""Sign-ins that are under way: from the button to the provider's answer, in one browser, once, within ten minutes.

The row has two digests. Nonce and PKCE verifier come from the browser's cookie and the state, so that whoever reads the
database can redeem nothing, and whoever has only the URL neither.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select

from runpass.errors import Unauthenticated
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import openid_sign_ins
from runpass.server.web.places import next_place

LIFETIME: Final = timedelta(minutes=10)
MOST: Final = 10_000
"""Of a server, at the same time. One more takes the place of those that began first."""


class NotUnderWay(Unauthenticated):
    """A state that was never given, was used, is too old, or belongs to another browser."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What is needed of a sign-in to go to the provider, and again when it answers."""

    state: Secret
    nonce: str
    verifier: Secret
    place: str


def begin(tx: Transaction, browser: Secret, place: str, now: datetime) -> UnderWay:
    """Begin a sign-in of the browser that has this cookie."""
    tx.execute(delete(openid_sign_ins).where(openid_sign_ins.c.ends_at <= now))
    _make_room(tx)
    state = new_bearer(Bearer.OPENID_STATE)
    place = next_place(place)
    values = {"state_sha256": digest(state), "browser_sha256": digest(browser), "place": place}
    tx.execute(openid_sign_ins.insert().values(**values, ends_at=now + LIFETIME))
    return _under_way(state, browser, place)


def take(tx: Transaction, state: Secret, browser: Secret, now: datetime) -> UnderWay:
    """Give a sign-in, which is used up with that. Raises `NotUnderWay`.

    SECURITY: a browser that did not begin it cannot use it up either; deleting the row is what decides who was first.
    """
    this = openid_sign_ins.c.state_sha256 == digest(state)
    row = tx.execute(select(openid_sign_ins).where(this)).one_or_none()
    if row is None or row.ends_at <= now or not matches(browser, row.browser_sha256):
        raise NotUnderWay("this sign-in is not under way in this browser")
    if tx.execute(delete(openid_sign_ins).where(this)).rowcount != 1:
        raise NotUnderWay("this sign-in was used already")
    return _under_way(state, browser, row.place)


def _make_room(tx: Transaction) -> None:
    count = int(tx.execute(select(func.count()).select_from(openid_sign_ins)).scalar_one())
    if count >= MOST:
        first = select(openid_sign_ins.c.state_sha256).order_by(openid_sign_ins.c.ends_at).limit(count - MOST + 1)
        tx.execute(delete(openid_sign_ins).where(openid_sign_ins.c.state_sha256.in_(first)))


def _under_way(state: Secret, browser: Secret, place: str) -> UnderWay:
    return UnderWay(state, _derived("nonce", state, browser), Secret(_derived("verifier", state, browser)), place)


def _derived(purpose: str, state: Secret, browser: Secret) -> str:
    """Give 256 bits that only this browser and this server know, as 43 characters (RFC 7636, section 4.1)."""
    text = f"runpass openid {purpose} {state.reveal()}".encode()
    found = hmac.new(browser.reveal().encode(), text, hashlib.sha256).digest()
    return urlsafe_b64encode(found).decode().rstrip("=")
