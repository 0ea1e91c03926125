"""What the pages of all rooms answer with: a page, and after a form what is wrong with it or that it was done."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runpass.errors import InvalidInput, RunpassError
from runpass.server.http.errors import status_of
from runpass.server.web.errors import in_sentences
from runpass.server.web.fields import errors_of

Fields = Mapping[str, str]
"""What a form sent, as `web.forms.posted` gives it."""


def answer_page(
    request: Request, template: str, values: Mapping[str, Any], error: RunpassError | None = None
) -> Response:
    """Give a page, with the status that the API has for what was wrong."""
    status = 200 if error is None else status_of(error)
    answer: Response = request.app.state.pages.page(request, template, values, status)
    return answer


def problem_of(error: RunpassError | None, undone: str = "changed") -> str:
    """Give what is wrong with a form as a whole; what stands at its fields is not said twice.

    `undone` is the word for what did not happen: nothing was changed.
    """
    if error is None:
        return ""
    if isinstance(error, InvalidInput):
        return f"Nothing was {undone}: see what is wrong below."
    return in_sentences(error)


def wrong_fields(error: RunpassError | None) -> dict[str, str]:
    """Give what is wrong by the names of fields; nothing for what is wrong with the whole."""
    return errors_of(error) if isinstance(error, InvalidInput) else {}


def done_of(request: Request, sentences: Mapping[str, str]) -> str:
    """Give the sentence for what the form before this page did; empty if there was none."""
    return sentences.get(request.query_params.get("done", ""), "")


def seen_in(fields: Fields) -> str | None:
    """Give the entity tag of what the form was drawn for: nobody overwrites what they have not seen."""
    return fields.get("seen") or None
