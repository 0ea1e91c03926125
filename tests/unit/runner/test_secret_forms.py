"""Every spelling in which a program may print a secret is looked for."""

import base64
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.runner.common_values import COMMON
from runpass.runner.masker import MASK
from runpass.runner.masking import Mask
from runpass.runner.secret_forms import SHORTEST, forms, is_maskable
from runpass.secret import Secret

AWKWARD = 'it\'s a "q"/\\u $e`&<é😀>\ttab|;*(x)~!#,^{y}[z]?'
KEY = "-----BEGIN KEY-----\n" + "\n".join(f"{number}-line-of-{number * 7}-the-key" for number in range(9)) + "\n"

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")


def is_hidden(value, shown):
    mask = Mask()
    mask.add([Secret(value)])
    return mask.text(shown) == MASK.decode()


def printed(command, value, *, locale="C.UTF-8", shell="bash"):
    environment = {"PATH": "/usr/bin:/bin", "V": value, "LC_ALL": locale}
    done = subprocess.run([shell, "-c", command], env=environment, capture_output=True, check=True)
    mask = Mask()
    mask.add([Secret(value)])
    masker = mask.masker()
    return masker.feed(done.stdout + done.stderr) + masker.finish()


@pytest.mark.parametrize(
    "shown",
    [
        json.dumps(AWKWARD)[1:-1],
        json.dumps(AWKWARD, ensure_ascii=False)[1:-1],
        json.dumps(AWKWARD)[1:-1].replace("/", "\\/"),
        json.dumps(AWKWARD)[1:-1].replace("\\u00e9", "\\u00E9").replace("\\ud83d\\ude00", "\\uD83D\\uDE00"),
        json.dumps(AWKWARD, ensure_ascii=False)[1:-1].translate({60: "\\u003c", 62: "\\u003e", 38: "\\u0026"}),
        json.dumps(json.dumps(AWKWARD)[1:-1])[1:-1],
        "it%27s%20a%20%22q%22%2F%5Cu%20%24e%60%26%3C%C3%A9%F0%9F%98%80%3E%09tab%7C%3B%2A%28x%29~%21%23%2C%5E%7By%7D%5Bz%5D%3F",
        "it%27s%20a%20%22q%22%2f%5cu%20%24e%60%26%3c%c3%a9%f0%9f%98%80%3e%09tab%7c%3b%2a%28x%29~%21%23%2c%5e%7by%7d%5bz%5d%3f",
        "it%27s+a+%22q%22%2F%5Cu+%24e%60%26%3C%C3%A9%F0%9F%98%80%3E%09tab%7C%3B%2A%28x%29~%21%23%2C%5E%7By%7D%5Bz%5D%3F",
        "it's%20a%20%22q%22%2F%5Cu%20%24e%60%26%3C%C3%A9%F0%9F%98%80%3E%09tab%7C%3B*(x)~!%23%2C%5E%7By%7D%5Bz%5D%3F",
        repr(AWKWARD)[1:-1],
        ascii(AWKWARD)[1:-1],
        repr(AWKWARD.encode())[2:-1],
        r"it's a \"q\"/\\u $e`&<é😀>\ttab|;*(x)~!#,^{y}[z]?",
        r"it's a \"q\"/\\u $e`&<\u00e9\U0001f600>\ttab|;*(x)~!#,^{y}[z]?",
        AWKWARD.replace("'", "''"),
        AWKWARD.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        AWKWARD.encode().hex(),
        AWKWARD.encode().hex().upper(),
        base64.b64encode(AWKWARD.encode()).decode(),
        base64.b64encode(AWKWARD.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(AWKWARD.encode()).decode(),
    ],
)
def test_an_awkward_secret_is_hidden_whole_in_every_spelling(shown):
    assert is_hidden(AWKWARD, shown)


@needs_bash
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(
    ("command", "around"),
    [
        ('printf %q "$V"', b"$'%s'"),
        ('printf %s "${V@Q}"', b"$'%s'"),
        ('set -x; : "$V"', b"+ : $'%s'\n"),
        ("declare -p V", None),
    ],
)
def test_a_secret_is_hidden_as_bash_quotes_it(command, around, locale):
    shown = printed(command, AWKWARD, locale=locale)
    if around is not None:
        assert shown in {around % MASK, (around % MASK).replace(b"$'", b"'"), (around % MASK).replace(b"$", b"")}
    else:
        assert MASK in shown
        assert b"tab|" not in shown


@needs_bash
@pytest.mark.parametrize("value", ["plain 'quoted' words", "a*b c$d;e", "two\nlines of it"])
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_secret_is_hidden_where_a_shell_traces_its_commands(value, shell):
    shown = printed('set -x; : "$V"', value, shell=shell)
    assert MASK in shown
    assert not any(word.encode() in shown for word in ("quoted", "b c", "d;e", "lines of"))


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_of_base64_is_hidden_but_for_what_its_neighbours_share(offset, encode):
    value = "?>correct-horse?battery>>staple"
    shown = encode(b"x" * offset + value.encode() + b"more")
    mask = Mask()
    mask.add([Secret(value)])
    left = mask.text(shown.decode()).replace("***", "")
    assert len(left) <= len(shown) - 4 * len(value) // 3 + 2


@pytest.mark.parametrize("columns", [76, 64])
@pytest.mark.parametrize("end", ["", "\n"])
def test_base64_that_is_cut_into_lines_is_hidden(columns, end):
    whole = base64.b64encode((KEY + end).encode()).decode()
    lines = [whole[at : at + columns] for at in range(0, len(whole), columns)]
    mask = Mask()
    mask.add([Secret(KEY)])
    assert len(mask.text("\n".join(lines)).replace("***", "").replace("\n", "")) <= 4
    assert len(mask.text("".join(lines)).replace("***", "")) <= 4
    for line in lines[:-1]:
        assert mask.text(f"2026 {line} .") == "2026 *** ."


def test_hex_that_is_cut_into_lines_is_hidden():
    whole = KEY.encode().hex()
    mask = Mask()
    mask.add([Secret(KEY)])
    assert set(mask.text("\n".join(whole[at : at + 60] for at in range(0, len(whole), 60))).split("\n")) == {"***"}
    assert mask.text(whole) == "***"


@given(
    st.text(min_size=SHORTEST, max_size=300).filter(is_maskable), st.binary(max_size=4), st.sampled_from([60, 64, 76])
)
def test_an_encoding_is_hidden_in_one_line_and_in_several(value, after, columns):
    mask = Mask()
    mask.add([Secret(value)])
    for whole in (base64.b64encode(value.encode() + after), value.encode().hex().encode()):
        lines = [whole[at : at + columns] for at in range(0, len(whole), columns)]
        shown = [b"".join(lines).decode()]
        if (columns == 60) == (whole == value.encode().hex().encode()):
            shown.append(b"\n".join(lines).decode())
        for text in shown:
            left = mask.text(text).replace("***", "").replace("\n", "")
            assert len(left) <= 2 + -(-4 * (len(after) + 2) // 3)


def test_every_leaf_of_a_json_value_is_hidden_and_no_key():
    value = json.dumps(
        {"username": "app-user-1", "nested": [{"private_key": "line-one-of-it\nline-two-of-it\n"}], "id": 123456789012}
    )
    mask = Mask()
    mask.add([Secret(value)])
    assert mask.text("username app-user-1 private_key 123456789012") == "username *** private_key ***"
    assert mask.text("x line-two-of-it x") == "x *** x"
    assert mask.text(base64.b64encode(b"app-user-1").decode()) == "***"


def test_words_and_numbers_among_the_leaves_stay_readable():
    value = json.dumps(
        {"environment": "production", "region": "eu-central-1", "port": 5432, "tls": True, "p": "hunter2-horse"}
    )
    mask = Mask()
    mask.add([Secret(value)])
    text = "production eu-central-1 5432 true"
    assert mask.text(text + " hunter2-horse") == text + " ***"


def test_json_that_nests_without_end_is_a_text_like_any_other():
    value = "[" * 100_000
    assert value.encode() in forms(value)


def test_half_of_a_surrogate_pair_is_no_leaf():
    assert is_hidden('{"a": "half \\ud800 of it", "b": "hunter2-horse"}', "hunter2-horse")


def test_a_json_of_many_leaves_is_hidden_leaf_by_leaf():
    mask = Mask()
    mask.add([Secret(json.dumps([f"leaf-number-{number}" for number in range(1_000)]))])
    assert mask.text("leaf-number-0 leaf-number-999") == "*** ***"


@pytest.mark.parametrize(
    "value",
    [
        "true",
        "12345",
        "production",
        "Password",
        "LOCALHOST",
        "us-east-1",
        "eu-central-1b",
        "europe-west4",
        "1234567",
        "2026-01-31",
        "2026-01-31T10:00:00Z",
        "v1.22.333",
        "127.0.0.1:8200",
        "http://localhost:8200",
        "000000000",
        "      ",
        "-----BEGIN PRIVATE KEY-----",
        "  default\n",
    ],
)
def test_short_and_common_values_are_not_masked(value):
    assert not is_maskable(value)
    assert forms(value) == set()


@pytest.mark.parametrize(
    "value", ["hunter2", "12345678", "passw0rd!", "production-7", "abcabc", "s3cr3t", "2026-01-31x"]
)
def test_other_values_are(value):
    assert is_maskable(value)
    assert value.encode() in forms(value)


def test_the_list_of_common_values_holds_nothing_that_could_not_matter():
    assert all(word == word.lower() and len(word) >= SHORTEST for word in COMMON)


@given(st.text(min_size=SHORTEST, max_size=200))
def test_no_form_is_short_or_common_enough_to_tear_holes(value):
    for form in forms(value):
        assert len(form) >= SHORTEST
