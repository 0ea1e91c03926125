"""Every error leads to a documented exit code."""

import pytest

from runpass.cli import exits
from runpass.cli.reference import all_errors
from runpass.errors import (
    AlreadyDestroyed,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    NotOffered,
    PreconditionFailed,
    RunpassError,
    StaleLease,
    TooManyRequests,
    Unauthenticated,
)
from runpass.vault.errors import Sealed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunpassError("x"), exits.OTHER),
        (InvalidInput.of("name", "is required"), exits.USAGE),
        (NotFound("x"), exits.NOT_FOUND),
        (Unauthenticated("x"), exits.NOT_ALLOWED),
        (Forbidden("x"), exits.NOT_ALLOWED),
        (Conflict("x"), exits.CONFLICT),
        (StaleLease("x"), exits.CONFLICT),
        (AlreadyDestroyed("x"), exits.CONFLICT),
        (PreconditionFailed("x"), exits.CONFLICT),
        (NotOffered("x"), exits.USAGE),
        (TooManyRequests("x", retry_after_seconds=1), exits.NOT_REACHED),
        (Sealed("x"), exits.VAULT),
    ],
)
def test_an_error_has_the_exit_code_of_the_nearest_kind_above_it(error, code):
    assert exits.exit_code(error) == code


def test_every_error_of_the_package_has_a_documented_exit_code():
    documented = {code for code, _ in exits.MEANINGS}
    for kind in all_errors():
        assert exits.exit_code(kind.__new__(kind)) in documented - {0}, kind


def test_exit_codes_are_documented_once():
    codes = [code for code, _ in exits.MEANINGS]
    assert codes == sorted(set(codes))
