"""@contexts from folders of the site: what their URLs mean without asking the web (setting MEDINA_CONTEXTS)."""

import json
import os
from pathlib import Path
from typing import Any

from broker.errors import SettingsError
from ngsi.context import ContextSource
from ngsi.context_source import absolute, references
from ngsi.errors import BadRequestData


def preloaded(folders: str) -> dict[str, ContextSource]:
    """URL → value of `@context`, from the index.json {URL: file name} of each folder; folders separated like PATH.

    Raises SettingsError when one cannot be read or is no @context.
    """
    documents: dict[str, ContextSource] = {}
    for folder in folders.split(os.pathsep):
        if folder:
            for url, name in _read_json(Path(folder) / "index.json").items():
                documents[url] = _read_context(url, Path(folder) / name)
    return documents


def _read_context(url: str, path: Path) -> ContextSource:
    document = _read_json(path)
    if "@context" not in document:
        raise SettingsError(f"MEDINA_CONTEXTS: {path} has no member @context")
    try:
        source = absolute(document["@context"], url)
        for _ in references(source):
            pass  # Each is looked at: what is no @context must be found at the start.
    except BadRequestData as exc:
        raise SettingsError(f"MEDINA_CONTEXTS: {path}: {exc.detail}") from exc
    return source


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsError(f"MEDINA_CONTEXTS: {path} cannot be read as JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise SettingsError(f"MEDINA_CONTEXTS: {path} must hold a JSON object")
    return content
