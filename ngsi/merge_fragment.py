"""What a fragment of a merge says of the instances of an attribute (clauses 5.5.12 and 6.5.3.4)."""

from typing import Any

from ngsi.attribute import is_attribute_object, is_null
from ngsi.errors import BadRequestData
from ngsi.names import is_uri, require_uri, show
from ngsi.vocabulary import NO_DATASET, NULL, VALUE_MEMBERS


def instance_fragments(name: str, content: Any, *, simplified: bool = False) -> list[tuple[str, Any]]:
    """What is said of each instance of an attribute, by its datasetId; BadRequestData if one is spoken of twice."""
    if simplified:
        values = content["dataset"] if isinstance(content, dict) and content.keys() == {"dataset"} else None
        if isinstance(values, dict) and all(named == NO_DATASET or is_uri(named) for named in values):
            return list(values.items())
        return [(NO_DATASET, content)]
    said = content if _is_instance_array(content) else [content]
    fragments = [(_named(name, fragment), fragment) for fragment in said]
    if len({named for named, _ in fragments}) < len(fragments):
        raise BadRequestData(f"Attribute {show(name)} has two instances with the same datasetId (or two without one)")
    return fragments


def _named(name: str, fragment: object) -> str:
    """The datasetId that a fragment speaks of."""
    named = fragment.get("datasetId", NO_DATASET) if isinstance(fragment, dict) else NO_DATASET
    if named == NULL:
        raise BadRequestData(f"Attribute {show(name)}: a datasetId cannot be deleted; delete the instance")
    return named if named == NO_DATASET else require_uri(named, f"Attribute {show(name)}: datasetId")


def without_nulls(fragment: Any) -> Any:
    """A new instance has nothing to delete: nulls inside it are dropped."""
    if not isinstance(fragment, dict):
        return fragment
    return {name: without_nulls(content) for name, content in fragment.items() if not asks_for_removal(content)}


def asks_for_removal(content: object) -> bool:
    """Whether a member of a fragment is NGSI-LD Null, bare or as the value of an attribute object."""
    if is_null(content):
        return True
    return isinstance(content, dict) and any(is_null(content.get(member)) for member in VALUE_MEMBERS)


def _is_instance_array(content: object) -> bool:
    return isinstance(content, list) and bool(content) and all(is_attribute_object(item) for item in content)
