"""The parameters of a function as a model sees them, and its arguments checked."""

import dataclasses
import inspect
import sys
import typing
from typing import Annotated, Any, Callable

from strands import _docstring
from strands._types import Describer, Invalid, Parse, Unknown, parse_fields, plain_default
from strands.types.tools import ToolContext

_INJECTED = ("self", "cls", "agent")
_NO_DEFAULT = inspect.Parameter.empty
_COMPOSED = ("anyOf", "oneOf", "allOf", "not")
_DEEPEST = 64

Field = tuple[str, Any, Any, str]  # name, type, default, description


class Inputs:
    """What a function takes, beside what the framework gives it."""

    def __init__(self, function: Callable[..., Any], context: str | None) -> None:
        self.parameters = inspect.signature(function).parameters
        self.context = context
        # A function that was wrapped has its hints where it was written.
        hints = typing.get_type_hints(function, include_extras=True)
        self._check_context(hints)
        text = inspect.getdoc(function) or ""
        self._said = _docstring.parameters(text)
        self.description = _docstring.description(text) or function.__name__
        fields = list(self._fields(hints))
        name = function.__name__.capitalize() + "Tool"
        if "pydantic" in sys.modules:
            self.schema, self._parse = _by_pydantic(name, fields)
        else:
            try:
                self.schema, self._parse = _by_ourselves(name, fields)
            except Unknown as e:
                self.schema, self._parse = _by_pydantic(name, fields, e)
        _tidy(self.schema)

    def arguments(self, given: Any) -> dict[str, Any]:
        """The arguments, coerced. A ValueError says what is wrong with them."""
        try:
            return self._parse(given)
        except Exception as e:
            raise ValueError(f"Validation failed for input parameters: {e}") from e

    def _check_context(self, hints: dict[str, Any]) -> None:
        for name in self.parameters:
            hint = hints.get(name)
            if hint is not ToolContext and typing.get_origin(hint) is not ToolContext:
                continue
            if self.context is None:
                raise ValueError(f"the parameter {name} is a ToolContext: write @tool(context=True)")
            if name != self.context:
                raise ValueError(f"the ToolContext must be the parameter {self.context!r}, not {name!r}")
            return

    def _fields(self, hints: dict[str, Any]) -> typing.Iterator[Field]:
        for name, parameter in self.parameters.items():
            if name in _INJECTED or name == self.context:
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            # The hint as written: get_type_hints adds None where that is the default.
            hint = parameter.annotation
            if isinstance(hint, str):
                hint = hints.get(name, hint)
            if hint is _NO_DEFAULT:
                hint = Any
            said = None
            if typing.get_origin(hint) is Annotated:
                hint, *notes = typing.get_args(hint)
                if any(type(n).__name__ == "FieldInfo" for n in notes):
                    raise NotImplementedError(
                        f"the parameter {name} has a pydantic Field within Annotated: write the description as a string"
                    )
                texts = [n for n in notes if isinstance(n, str)]
                said = texts[-1] if texts else None
            if said is None:
                said = self._said.get(name) or f"Parameter {name}"
            yield name, hint, parameter.default, said


def _by_ourselves(name: str, fields: list[Field]) -> tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]:
    describer = Describer()
    properties: dict[str, Any] = {}
    parsers: dict[str, tuple[Parse, Any]] = {}
    for key, hint, default, said in fields:
        schema, parse = describer.describe(hint)
        schema["description"] = said
        if default is _NO_DEFAULT:
            parsers[key] = parse, dataclasses.MISSING
        else:
            try:
                schema["default"] = plain_default(default)
            except TypeError:
                pass  # the model need not know it
            parsers[key] = parse, default
        properties[key] = schema
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [key for key, _, default, _ in fields if default is _NO_DEFAULT]:
        whole["required"] = required
    if describer.definitions:
        whole["$defs"] = describer.definitions

    def parse_all(given: Any) -> dict[str, Any]:
        try:
            return parse_fields(parsers, given)
        except Invalid as e:
            count = len(e.found)
            raise ValueError(f"{count} validation error{'s' if count > 1 else ''} for {name}\n{e}") from None

    return whole, parse_all


def _by_pydantic(
    name: str, fields: list[Field], why: Unknown | None = None
) -> tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]:
    try:
        from pydantic import Field as PydanticField
        from pydantic import create_model
        from pydantic.fields import FieldInfo
    except ImportError:
        raise TypeError(
            f"the type {why} needs pydantic: add it to the requirements of the directory, or give @tool an inputSchema"
        ) from None
    made: dict[str, Any] = {}
    for key, hint, default, said in fields:
        if isinstance(default, FieldInfo):
            field = default if default.description else FieldInfo.merge_field_infos(default, FieldInfo(description=said))
        else:
            field = PydanticField(default=... if default is _NO_DEFAULT else default, description=said)
        made[key] = (hint, field)
    model = create_model(name, **made)
    return model.model_json_schema(), lambda given: model(**given).model_dump()


def _tidy(schema: dict[str, Any]) -> None:
    """What the SDK takes out of a schema: titles, and the null of what may be left out."""
    required = schema.get("required", ())
    for part in (schema, *schema.get("properties", {}).values()):
        part.pop("title", None)
        part.pop("additionalProperties", None)
    for name, part in schema.get("properties", {}).items():
        options = part.get("anyOf")
        if options is None or name in required or len(options) != 2:
            continue
        kept = [o for o in options if o.get("type") != "null"]
        if len(kept) == 1:
            del part["anyOf"]
            part.update(kept[0])
            part.pop("title", None)
            part.pop("additionalProperties", None)


def normalized(schema: Any, depth: int = 0) -> dict[str, Any]:
    """A schema as the SDK hands it to a model: nothing that providers miss is missing."""
    if depth > _DEEPEST:
        raise ValueError(f"the input schema is nested more than {_DEEPEST} levels deep")
    if not isinstance(schema, dict):
        raise TypeError("the input schema must be a dict")
    made: dict[str, Any] = {"type": "object", "properties": {}, "required": []} | schema
    properties = made["properties"]
    made["properties"] = {name: _property(name, part, depth) for name, part in properties.items()}
    return made


def _property(name: str, part: Any, depth: int) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {"type": "string", "description": f"Property {name}"}
    if part.get("type") == "object" and "properties" in part:
        return normalized(part, depth + 1)
    made: dict[str, Any] = dict(part)
    if "$ref" not in made:
        if not any(word in made for word in _COMPOSED):
            made.setdefault("type", "string")
        made.setdefault("description", f"Property {name}")
    return made
