"""What is read from TOML files: models that refuse unknown keys, and errors that name file, key and rule."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.errors import ConfigurationError


class FileModel(BaseModel):
    """Base of what is read from files: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


Model = TypeVar("Model", bound=FileModel)


def parse_file(path: Path, model: type[Model], **given: object) -> Model:
    """Read a TOML file into a model; `ConfigurationError` names file, key and rule."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    try:
        return model.model_validate({**content, **given})
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in _broken_rules(error))) from error


def _broken_rules(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        yield f"{key + ': ' if key else ''}{problem['msg'].removeprefix('Value error, ')}"
