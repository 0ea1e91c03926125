import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.secret import Secret
from runpass.vault.errors import ReferenceInvalid
from runpass.vault.references import SecretReference, find_references, substitute

SEGMENT = st.text(st.sampled_from("abcZ09-_.~ ü:=+"), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and text not in {".", ".."}
)
PATH = st.lists(SEGMENT, min_size=2, max_size=4).map("/".join)
KEY = st.text(st.sampled_from("abcZ09-_~ü:=+"), min_size=1, max_size=8)
NAMESPACE = st.one_of(st.just(""), st.lists(SEGMENT, min_size=1, max_size=3).map("/".join))
REFERENCE = st.builds(SecretReference, PATH, KEY, NAMESPACE)
AROUND = st.text(st.sampled_from("ab ${}.@\n\t:vault"), max_size=12).filter(lambda text: "${vault:" not in text)


def written(reference: SecretReference) -> str:
    return f"${{vault:{reference}}}"


@given(st.lists(st.tuples(AROUND, REFERENCE)), AROUND)
def test_every_reference_is_found_and_replaced_and_the_text_around_it_stays(parts, end):
    text = "".join(before + written(reference) for before, reference in parts) + end
    found = find_references(text)
    assert found == tuple(dict.fromkeys(reference for _, reference in parts))
    values = {reference: Secret(f"<{number}>") for number, reference in enumerate(found)}
    expected = "".join(before + values[reference].reveal() for before, reference in parts) + end
    assert substitute(text, values).reveal() == expected


@given(st.text().filter(lambda text: "${vault:" not in text))
def test_text_without_references_stays_as_it_is(text):
    assert find_references(text) == ()
    assert substitute(text, {}).reveal() == text


@given(st.text())
def test_whatever_is_written_either_parses_or_is_refused_without_being_repeated(text):
    said = "NAME"
    try:
        assert find_references(f"${{vault:{text}", variable="NAME")
    except ReferenceInvalid as error:
        said = error.message
    assert "NAME" in said
    assert len(text) < 12 or text not in said


def test_the_key_is_what_follows_the_last_dot_and_at_starts_a_namespace():
    assert find_references("${vault:kv/v1.2/app.conf.key@team.a/b}") == (
        SecretReference("kv/v1.2/app.conf", "key", "team.a/b"),
    )


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${vault:", "no closing }"),
        ("${vault:kv/app.key", "no closing }"),
        ("${vault:}", "names no key"),
        ("${vault:kv/app}", "names no key"),
        ("${vault:kv/v1.2/app}", "names no key"),
        ("${vault:kv/app.}", "its key"),
        ("${vault:kv/app. key}", "its key"),
        ("${vault:kv/app.a#b}", "its key"),
        ("${vault:app.key}", "<mount>/<secret>"),
        ("${vault:/kv/app.key}", "<mount>/<secret>"),
        ("${vault: kv/app.key}", "<mount>/<secret>"),
        ("${vault:kv//app.key}", "<mount>/<secret>"),
        ("${vault:kv/../sys/x.key}", "<mount>/<secret>"),
        ("${vault:kv/app?version=1.key}", "names no key"),
        ("${vault:kv/app%2f.key}", "<mount>/<secret>"),
        ("${vault:kv/${inner.key}", "<mount>/<secret>"),
        ("${vault:kv/app.key@}", "its namespace"),
        ("${vault:kv/app.key@/a}", "its namespace"),
        ("${vault:kv/app.key@a@b}", "its namespace"),
        ("${vault:kv/a\npp.key}", "<mount>/<secret>"),
    ],
)
def test_a_malformed_reference_is_refused_with_the_variables_name(reference, said):
    with pytest.raises(ReferenceInvalid) as caught:
        find_references(f"canary {reference}", variable="DATABASE_URL")
    assert "variable DATABASE_URL: " in caught.value.message
    assert "at character 8" in caught.value.message
    assert said in caught.value.message
    assert "canary" not in caught.value.message


def test_values_are_not_looked_into():
    one, two = SecretReference("kv/a", "x"), SecretReference("kv/b", "x")
    values = {one: Secret("${vault:kv/b.x}"), two: Secret("no")}
    assert substitute("${vault:kv/a.x}", values).reveal() == "${vault:kv/b.x}"


def test_a_reference_that_was_not_read_is_an_error():
    with pytest.raises(ReferenceInvalid, match=r"variable X: the secret kv/a\.x was not read"):
        substitute("${vault:kv/a.x}", {}, variable="X")


def test_other_kinds_of_references_are_not_ours():
    assert find_references("${ssm:a} ${vault} ${ vault:kv/a.b} $vault:kv/a.b ${VAULT:kv/a.b}") == ()
