"""What one command may pass on to the next."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.runner.passed_on import MAX_BYTES, NotPassedOn, passed_on


def test_lines_are_variables_and_the_last_one_of_a_name_counts():
    content = b"A=1\n\n# a comment\nexport B='two words'\nC=\"x=y\"\nD=a b \nA=3\nE=\n"
    assert passed_on(content) == {"A": "3", "B": "two words", "C": "x=y", "D": "a b", "E": ""}


@pytest.mark.parametrize("line", ["no equals", "1A=x", "A B=c", "A='open", "A='a' b", "=x", "-A=x"])
def test_a_line_that_is_none_is_told_by_its_number_alone(line: str):
    with pytest.raises(NotPassedOn) as caught:
        passed_on(f"OK=1\n{line}canary\n".encode())
    assert "line 2" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "LD_PRELOAD", "BASH_ENV", "ENV", "GIT_SSH_COMMAND", "VAULT_TOKEN", "BAO_ADDR", "ENV0_OIDC_TOKEN"),
        *("ACTIONS_ID_TOKEN_REQUEST_URL", "TF_CLI_ARGS", "TF_HTTP_ADDRESS", "https_proxy", "SSL_CERT_FILE"),
        *("PYTHONPATH", "NODE_OPTIONS", "PERL5LIB", "ENV0_OIDC_TAG", "ENV0_REQUIRES_APPROVAL", "RUNPASS_MASK_FILE"),
    ],
)
def test_reserved_names_are_refused(name: str):
    with pytest.raises(NotPassedOn, match=f"reserved and cannot be passed on: {name}"):
        passed_on(f"{name}=x".encode())


def test_what_no_program_can_be_given_is_refused():
    with pytest.raises(NotPassedOn, match="128 KiB"):
        passed_on(b"A=" + b"x" * 200_000)
    with pytest.raises(NotPassedOn, match="1 MiB"):
        passed_on(b"x" * (MAX_BYTES + 1))
    with pytest.raises(NotPassedOn, match="NUL"):
        passed_on(b"A=a\0b")


@given(st.binary(max_size=300))
def test_whatever_is_in_the_file_it_is_passed_on_or_refused(content: bytes):
    try:
        found = passed_on(content)
    except NotPassedOn:
        return
    assert all("\0" not in value for value in found.values())


def test_a_quote_of_a_megabyte_is_read_in_one_go():
    begun = time.monotonic()
    with pytest.raises(NotPassedOn, match="128 KiB"):
        passed_on(b'A="' + b"x" * 1_000_000 + b'"')
    with pytest.raises(NotPassedOn, match="line 1"):
        passed_on(b'A="' + b"\\" * 1_000_001)
    assert time.monotonic() - begun < 20  # seconds, where a quadratic look would take minutes


def test_escapes_in_double_quotes_are_a_shells():
    assert passed_on(b'A="say \\"hi\\" for \\$5 \\n"') == {"A": 'say "hi" for $5 \\n'}
