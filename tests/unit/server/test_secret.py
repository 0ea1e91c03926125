"""A `Secret` does not come out by accident, whichever way it is shown."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from runpass.protocol.wire import Record, decode, encode
from runpass.secret import PLACEHOLDER, Secret

CANARY = "canary-3f9a"


class Message(Record):
    name: str
    token: Secret


@dataclass(frozen=True)
class Holder:
    token: Secret


SHOWN = {
    "str": str,
    "repr": repr,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret:>40}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "format": lambda secret: "{} {!r}".format(secret, secret),  # noqa: UP032
    "list": lambda secret: str([secret, {"key": secret}, (secret,)]),
    "dataclass": lambda secret: repr(Holder(secret)) + str(asdict(Holder(secret))),
    "record": lambda secret: repr(Message(name="n", token=secret)) + str(Message(name="n", token=secret).model_dump()),
    "exception": lambda secret: str(ValueError(secret)) + repr(ValueError(secret)),
    "copies": lambda secret: repr(copy.copy(secret)) + repr(copy.deepcopy(secret)),
    "dir": lambda secret: str(dir(secret)),
}


@pytest.mark.parametrize("how", SHOWN)
def test_showing_a_secret_shows_a_placeholder(how: str):
    shown = SHOWN[how](Secret(CANARY))
    assert CANARY not in shown


@given(st.text(min_size=4).filter(lambda text: text not in PLACEHOLDER))
def test_no_value_at_all_can_be_seen(value: str):
    assert f"{Secret(value)}{Secret(value)!r}" == PLACEHOLDER * 2


def test_json_refuses_a_secret():
    with pytest.raises(TypeError):
        json.dumps({"token": Secret(CANARY)})


def test_pickle_refuses_a_secret():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(Secret(CANARY), protocol)


def test_a_record_refuses_to_become_json_without_being_asked_to_reveal():
    message = Message(name="n", token=Secret(CANARY))
    for attempt in (message.model_dump_json, lambda: message.model_dump(mode="json")):
        with pytest.raises(PydanticSerializationError) as error:
            attempt()
        assert CANARY not in str(error.value)


def test_a_record_carries_its_secret_over_the_wire_and_back():
    message = Message(name="n", token=Secret(CANARY))
    assert CANARY.encode() in encode(message)
    assert decode(Message, encode(message)) == message


def test_a_secret_of_the_wrong_type_is_not_repeated():
    class Odd(BaseModel):
        token: Secret

    for wrong in ({"token": [CANARY]}, {"token": {"x": CANARY}}):
        with pytest.raises(Exception, match="token") as error:
            Message.model_validate(wrong)
        assert CANARY not in str(error.value)
    assert Odd(token=Secret(CANARY)).token.reveal() == CANARY


def test_logging_shows_a_placeholder():
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("test_secret")
    logger.addHandler(handler)
    logger.warning("token %s in %r", Secret(CANARY), {"token": Secret(CANARY)})
    logger.removeHandler(handler)
    assert stream.getvalue() == f"token {PLACEHOLDER} in {{'token': {PLACEHOLDER}}}\n"


def test_a_traceback_with_its_variables_shows_a_placeholder():
    def fail(secret: Secret) -> None:
        kept: dict[str, Any] = {"secret": secret}
        raise ValueError(f"with {secret} and {len(kept)}")

    try:
        fail(Secret(CANARY))
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(told.format())
        rich = str(structlog.tracebacks.extract(type(error), error, error.__traceback__, show_locals=True))
    assert PLACEHOLDER in text
    assert CANARY not in text
    assert CANARY not in rich


def test_secrets_compare_by_value_and_are_true_when_there_is_one():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("é")}) == 2
    assert Secret("a")
    assert not Secret("")


def test_a_secret_has_no_attribute_that_holds_its_value_under_a_plain_name():
    secret = Secret(CANARY)
    assert not hasattr(secret, "__dict__")
    assert not hasattr(secret, "value")
    with pytest.raises(TypeError):
        len(secret)  # type: ignore[arg-type]
