"""Options that several commands share, declared once and handed over as one record.

    @grouped(reach=reach)            # reach(*, address: Annotated[...] = None, ...) -> Reach
    def plan(*, reach: Reach): ...

gives a command that has the options of `reach` in the place of its parameter `reach`.
"""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any


def grouped(**groups: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a decorator that puts the options of each group in the place of the parameter of its name."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [item for item in signature(command, eval_str=True).parameters.values() if item.name not in groups]
        parts = {name: list(signature(group, eval_str=True).parameters.values()) for name, group in groups.items()}
        every = [*(item for part in parts.values() for item in part), *own]

        @wraps(command)
        def run(**given: Any) -> None:
            records = {
                name: groups[name](**{item.name: given.pop(item.name) for item in part}) for name, part in parts.items()
            }
            command(**records, **given)

        keyword = [item.replace(kind=Parameter.KEYWORD_ONLY) for item in every]
        run.__signature__ = Signature(keyword)  # type: ignore[attr-defined]  # what Typer reads the options from
        run.__annotations__ = {item.name: item.annotation for item in keyword}
        return run

    return decorate
