"""SOAP and other XML as JSON, for `…/attrs/<name>` with `application/soap+xml`.

Source: telefonicaid/iotagent-json, docs/usermanual.md; the form is that of xml2js with prefixes stripped: an element is
an object of arrays of its children, with its attributes under `$` and its text under `_`; one with text alone is text.
"""

from typing import Any
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from agents.errors import WrongShape

MAX_DEPTH = 100


def as_json(payload: bytes) -> dict[str, Any]:
    """Return the document; `WrongShape` when it is no XML. Document types are refused: nothing in it is expanded."""
    if b"<!DOCTYPE" in payload or b"<!ENTITY" in payload:
        raise WrongShape("the payload has a document type, which is not read")
    try:
        root = ElementTree.fromstring(payload)  # noqa: S314 - no document type, so no entities
    except (ElementTree.ParseError, ExpatError, ValueError, LookupError):
        raise WrongShape(f"{len(payload)} bytes are not XML") from None
    return {_local(root.tag): _element(root, 0)}


def _element(element: ElementTree.Element, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise WrongShape(f"the payload is nested more than {MAX_DEPTH} levels deep")
    made: dict[str, Any] = {}
    if element.attrib:
        made["$"] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        made.setdefault(_local(child.tag), []).append(_element(child, depth + 1))
    text = (element.text or "").strip()
    if not made:
        return text
    if text:
        made["_"] = text
    return made


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]
