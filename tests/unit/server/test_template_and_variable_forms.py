"""The forms of templates and variables: what a page shows and nobody touches comes back as it was."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from runpass.ids import OrganizationId, ProjectId, TemplateId, VariableId, new_id
from runpass.server.templates import forms as template_forms
from runpass.server.templates.forms import SEPARATOR
from runpass.server.templates.model import ShellSource, Template, TemplateType
from runpass.server.templates.requests import TemplateBody
from runpass.server.variables import forms as variable_forms
from runpass.server.variables.model import Details, ValueFormat, ValueSchema, VariableRecord, VariableScope
from runpass.server.web.fields import FormField, as_it_was
from runpass.terminal_text import without_colours

AT = datetime(2026, 1, 2, tzinfo=UTC)
ORGANIZATION = OrganizationId(new_id())
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10)
SCRIPTS = st.lists(TEXT.filter(lambda text: bool(text.strip())), max_size=3).map(tuple)


def sent_by_a_browser(fields: list[FormField]) -> dict[str, str]:
    """Give what a browser sends of a form that nobody touches, as `web.forms.posted` gives it."""
    found: dict[str, str] = {}
    for one in fields:
        if isinstance(one.value, bool):
            found |= {one.name: "true"} if one.value else {}
        else:
            found[one.name] = without_colours(one.value)
    return found


def template(commands: tuple[str, ...], plan: tuple[str, ...] = (), destroy: tuple[str, ...] = ()) -> Template:
    return Template(
        id=TemplateId(new_id()),
        organization_id=ORGANIZATION,
        name="name",
        description="",
        type=TemplateType.SHELL,
        source=ShellSource(commands=commands, plan_commands=plan, destroy_commands=destroy),
        is_deleted=False,
        project_ids=(),
        created_by="test",
        created_at=AT,
        updated_at=AT,
    )


@given(SCRIPTS.filter(bool), SCRIPTS, SCRIPTS)
@example(("echo \r\n\x1b[31mred\u202e\n", "\n\necho"), (), ())
def test_commands_that_nobody_touches_stay(commands: tuple[str, ...], plan: tuple[str, ...], destroy: tuple[str, ...]):
    before = template(commands, plan, destroy)
    now = template_forms.typed(before)
    if any(SEPARATOR in script.split("\n") for script in (*commands, *plan, *destroy)):
        assert now is None
        return
    assert now is not None
    sent = as_it_was(sent_by_a_browser(template_forms.form_of(before.type, now)), now)
    assert template_forms.body_of(TemplateBody, sent, {"type": "shell"}).draft().source == before.source


def variable(value: str | None, **details: Any) -> VariableRecord:
    return VariableRecord(
        id=VariableId(new_id()),
        organization_id=ORGANIZATION,
        scope=VariableScope.PROJECT,
        scope_id=ProjectId(new_id()),
        name="NAME",
        type=1,
        clear_value=value,
        details=Details(**details),
        created_by="test",
        created_at=AT,
        updated_at=AT,
    )


@given(
    st.none() | TEXT,
    st.none() | st.lists(LINE | TEXT, max_size=3).map(tuple),
    st.none() | st.sampled_from(ValueFormat),
    st.booleans(),
    TEXT,
)
@example("two\r\nlines\x1b[31m", None, None, True, "")  # noqa: FBT003 -- hypothesis gives them by place
@example(None, ("a\nb", ""), None, False, "\u202e")  # noqa: FBT003 -- as above
def test_a_variable_that_nobody_touches_stays(
    value: str | None,
    enum: tuple[str, ...] | None,
    form: ValueFormat | None,
    flag: bool,  # noqa: FBT001 -- as above
    description: str,
):
    schema = ValueSchema(type="string", enum=enum, format=form)
    before = variable(
        value, description=description, is_required=flag, is_readonly=not flag, regex="a+ ", value_schema=schema
    )
    now = variable_forms.typed(before)
    sent = as_it_was(sent_by_a_browser(variable_forms.form_of(now, before)), now)
    wanted = variable_forms.wanted_of(sent, before.place, before)
    assert wanted.details == before.details
    assert (wanted.name, wanted.type, wanted.id) == (before.name, before.type, before.id)
    if value is None:
        assert (wanted.value.reveal(), wanted.is_sensitive) == ("********", True)
    else:
        assert (wanted.value.reveal(), wanted.is_sensitive) == (value, False)
