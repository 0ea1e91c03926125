import json

import pytest

from runpass.protocol.outputs import MAX_OUTPUT_BYTES, parse_outputs
from runpass.runner.masking import Mask
from runpass.runner.outputs import NoOutputs, outputs_of
from runpass.secret import Secret

SECRET = 'pass"word\n-of-the-run'


def mask():
    known = Mask()
    known.add([Secret(SECRET)])
    return known


def given(outputs):
    text = outputs_of(outputs if isinstance(outputs, bytes) else json.dumps(outputs).encode(), mask())
    return None if text is None else json.loads(text.reveal())


def test_outputs_are_taken_in_terraforms_shape():
    found = given(
        {"a": {"value": {"b": [1, None, "é"]}, "type": ["object", {}]}, "c": {"value": "x", "sensitive": True}}
    )
    assert found == {
        "a": {"value": {"b": [1, None, "é"]}, "sensitive": False, "type": ["object", {}]},
        "c": {"value": "x", "sensitive": True, "type": None},
    }


@pytest.mark.parametrize(
    "value",
    [SECRET, f"before {SECRET} after", [SECRET], {"deep": {"er": [f"x{SECRET}"]}}, {SECRET: 1}, json.dumps(SECRET)],
    ids=["itself", "inside", "in a list", "deep", "as a key", "encoded"],
)
def test_an_output_that_shows_a_secret_of_the_run_becomes_sensitive(value):
    found = given({"a": {"value": value}, "b": {"value": "fine"}})
    assert (found["a"]["sensitive"], found["b"]["sensitive"]) == (True, False)
    assert found["a"]["value"] == value


def test_a_secret_does_not_come_back_as_a_type():
    assert given({"a": {"value": 1, "type": SECRET}})["a"]["type"] is None


def test_a_name_that_holds_a_secret_keeps_all_of_them_back():
    odd = "a-secret-that-is-a-name"
    known = Mask()
    known.add([Secret(odd)])
    with pytest.raises(NoOutputs) as error:
        outputs_of(json.dumps({odd: {"value": 1}}).encode(), known)
    assert odd not in str(error.value)


def test_no_outputs_are_nothing_to_give_back():
    assert given({}) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"canary",
        b"[]",
        b'"canary"',
        b'{"canary": 1}',
        b'{"a": {"canary": 1}}',
        b'{"a": {"value": 1, "sensitive": "canary"}}',
        b'{"a": {"value": NaN}}',
        b'{"a": {"value": 1e999}}',
        b'{"a": {"value": "\\ud800"}}',
        b'{"": {"value": 1}}',
        b'{"' + b"n" * 256 + b'": {"value": 1}}',
        b'{"a\\n": {"value": 1}}',
        b'{"a": {"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        json.dumps({f"o{n}": {"value": 1} for n in range(1001)}).encode(),
        b'{"a": {"value": "' + b"x" * MAX_OUTPUT_BYTES + b'"}}',
        b'{"a": {"value": "' + b"x" * (MAX_OUTPUT_BYTES - 20) + b'"}}',  # too large once it is spelled in full
        b"\xff\xfe{",
    ],
)
def test_anything_else_is_a_sentence_that_repeats_nothing_of_it(content):
    with pytest.raises(NoOutputs) as error:
        outputs_of(content, mask())
    assert str(error.value).startswith("The outputs in RUNPASS_OUTPUT are not kept: ")
    assert "canary" not in str(error.value)


def test_what_the_runner_sends_is_what_the_server_reads():
    text = outputs_of(json.dumps({"a": {"value": [1, "é"], "sensitive": True}}).encode(), mask())
    assert text is not None
    (output,) = parse_outputs(text.reveal()).values()
    assert (output.value, output.sensitive, output.text) == ([1, "é"], True, '[1,"é"]')
    assert "é" not in repr(output)
