"""`Secret`: a string that refuses to print, log, format or serialise itself.

The value leaves through `reveal()` alone, so every place that uses a secret can be found by searching that word.
"""

import hmac
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticSerializationError, core_schema

PLACEHOLDER = "[secret]"
REVEAL = "runpass.reveal-secrets"
"""Key of the serialisation context under which a record may carry its secrets over the wire (`protocol.wire`)."""


class Secret:
    """A value that must not be seen. `str`, `repr` and f-strings give a placeholder; JSON and pickle refuse."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Give the value itself. SECURITY: the only way out; never into a log, error, URL or argument list."""
        return self.__value

    def __repr__(self) -> str:
        return PLACEHOLDER

    def __str__(self) -> str:
        return PLACEHOLDER

    def __format__(self, format_spec: str) -> str:
        return PLACEHOLDER

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(("Secret", self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        from_text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_text]),
            serialization=core_schema.plain_serializer_function_ser_schema(_serialise, info_arg=True),
        )


def _serialise(value: Secret, info: core_schema.SerializationInfo) -> Any:
    if not info.mode_is_json():
        return value
    if isinstance(info.context, dict) and info.context.get(REVEAL) is True:
        return value.reveal()
    raise PydanticSerializationError("a Secret is not serialised without asking for it")
