"""What is read from TOML files: models that refuse unknown keys, and errors that name file, key and rule."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.errors import ConfigurationError


class FileModel(BaseModel):
    """Base of what is read from files: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


Model = TypeVar("Model", bound=FileModel)


def parse_file(path: Path, model: type[Model], **given: object) -> Model:
    """Read a TOML file into a model; `ConfigurationError` names file, key and rule."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    return parse_text(text, str(path), model, **given)


def parse_text(text: str, where: str, model: type[Model], **given: object) -> Model:
    """Read the text of a TOML file into a model; `ConfigurationError` names where it is from, key and rule."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: cannot be read as TOML: {error}") from error
    try:
        return model.model_validate({**content, **given})
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{where}: {line}" for line in _broken_rules(error, model))) from error


def _broken_rules(error: ValidationError, model: type[BaseModel]) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        rule = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            rule = _no_such_key(str(problem["loc"][-1]), _model_at(model, problem["loc"][:-1]))
        elif problem["type"] == "literal_error":
            rule = f"{problem['ctx']['expected']} is expected"
        yield f"{key + ': ' if key else ''}{_RULES.get(problem['type'], rule)}"


_RULES = {
    "missing": "is missing",
    "tuple_type": "a list in brackets is expected, [...]",
    "dict_type": "a table is expected",
    "model_type": "a table is expected",
    "string_type": "text in quotes is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
}
"""Kinds of broken rules in the words of somebody who writes TOML."""


def _no_such_key(key: str, model: type[BaseModel]) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = get_close_matches(key, known, 1)
    return (
        f"there is no such key; did you mean {close[0]}?"
        if close
        else f"there is no such key; there are {', '.join(known)}"
    )


def _model_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The model of the table at a place of a file: the innermost one that the names lead to."""
    for part in place:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part in fields:
            model = next(_models_in(fields[str(part)].annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
