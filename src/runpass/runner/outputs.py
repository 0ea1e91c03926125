"""What a run gives back: the file that `RUNPASS_OUTPUT` names, read once its last command has succeeded."""

import json
from collections.abc import Iterable
from typing import Final

from runpass.protocol.outputs import BadOutputs, Output, as_json, outputs_text, parse_outputs
from runpass.runner.masking import Mask
from runpass.secret import Secret

VARIABLE: Final = "RUNPASS_OUTPUT"


class NoOutputs(Exception):
    """Why nothing is given back, as a sentence for the log that repeats nothing of the file."""


def outputs_of(content: bytes, mask: Mask) -> Secret | None:
    """Give the outputs as they go to the server; nothing if there are none. Raises `NoOutputs`.

    SECURITY: one in which a secret of the run turns up is sensitive, whatever the file says.
    """
    try:
        outputs = parse_outputs(content)
        _check_names(outputs, mask)
        checked = {name: _checked(output, mask) for name, output in outputs.items()}
        return outputs_text(checked) if checked else None
    except BadOutputs as error:
        raise NoOutputs(f"The outputs in {VARIABLE} are not kept: {error}.") from None


def _check_names(names: Iterable[str], mask: Mask) -> None:
    if any(_shows(mask, name) for name in names):
        raise BadOutputs("the name of one of them holds a secret")


def _checked(output: Output, mask: Mask) -> Output:
    forms = {as_json(output.value), json.dumps(output.value), output.text}
    sensitive = output.sensitive or any(_shows(mask, form) for form in forms)
    kind = None if _shows(mask, as_json(output.type)) else output.type
    return output.model_copy(update={"sensitive": sensitive, "type": kind})


def _shows(mask: Mask, text: str) -> bool:
    return mask.text(text) != text
