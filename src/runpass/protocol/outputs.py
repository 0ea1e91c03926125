"""Outputs: what a run gives back, in the shape of `terraform output -json`. Read by the runner and by the server.

Every value may be a secret, so they travel as one `Secret` text and are never in a field that could be printed.
"""

import json
from typing import Annotated, Any, Final, NoReturn

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from runpass.protocol.wire import Record
from runpass.secret import Secret

MAX_OUTPUT_BYTES: Final = 1_048_576
MAX_OUTPUTS: Final = 1_000
MAX_NAME: Final = 255
TOO_LARGE: Final = f"they are larger than {MAX_OUTPUT_BYTES} bytes"


class Output(Record):
    """One output. `type` is Terraform's own description of it: a word, or a list that begins with one."""

    value: Any = Field(repr=False)
    sensitive: bool = False
    type: Any = None

    @property
    def text(self) -> str:
        """Give the value as a variable carries it: a text as it is, anything else as JSON."""
        return self.value if isinstance(self.value, str) else as_json(self.value)


class BadOutputs(ValueError):
    """Something else than outputs. Its sentence repeats nothing of it."""


def _bounded(text: Secret) -> Secret:
    if len(text.reveal()) > MAX_OUTPUT_BYTES:
        raise ValueError(f"is longer than {MAX_OUTPUT_BYTES} characters")
    return text


OutputsText = Annotated[Secret, AfterValidator(_bounded), Field(json_schema_extra={"maxLength": MAX_OUTPUT_BYTES})]
"""What `outputs_text` gives, on the wire."""

_OUTPUTS = TypeAdapter(dict[str, Output])


def parse_outputs(text: str | bytes) -> dict[str, Output]:
    """Give outputs by their names. Raises `BadOutputs` with a sentence."""
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_OUTPUT_BYTES:
        raise BadOutputs(TOO_LARGE)
    try:
        found = json.loads(raw, parse_constant=_refuse)
        outputs = _OUTPUTS.validate_python(found)
        as_json(found).encode()  # half of a surrogate pair, which JSON can spell and nobody can keep
    except ValidationError:
        raise BadOutputs('they are not an object such as {"name": {"value": …, "sensitive": false}}') from None
    except (ValueError, RecursionError):
        raise BadOutputs("they are not valid JSON") from None
    if len(outputs) > MAX_OUTPUTS:
        raise BadOutputs(f"there are more than {MAX_OUTPUTS}")
    if not all(0 < len(name) <= MAX_NAME and name.isprintable() for name in outputs):
        raise BadOutputs(f"a name is empty, longer than {MAX_NAME} characters, or not printable")
    return outputs


def outputs_text(outputs: dict[str, Output]) -> Secret:
    """Give the text that `parse_outputs` reads. Raises `BadOutputs` if it would be too large for that."""
    text = as_json({name: _plain(output) for name, output in outputs.items()})
    if len(text.encode()) > MAX_OUTPUT_BYTES:
        raise BadOutputs(TOO_LARGE)
    return Secret(text)


def as_json(value: object) -> str:
    """Give compact JSON, its characters as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(output: Output) -> dict[str, Any]:
    return {"value": output.value, "sensitive": output.sensitive, "type": output.type}


def _refuse(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
