"""The language filter (clause 4.15)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import language
from ngsi.entity import Entity
from ngsi.errors import BadRequestData

TEXTS = {"en-US": "color", "fr": "couleur", "nl": "kleur", "@none": "c"}
CHOICES = [
    ("fr", "fr"),
    ("FR", "fr"),
    ("nl-BE", "nl"),
    ("en", "en-US"),
    ("de,fr", "fr"),
    ("fr;q=0.4,nl;q=0.9", "nl"),
    ("de", "@none"),
    ("*", "en-US"),
    ("de,*;q=0.1", "en-US"),
    ("fr;q=0,nl;q=0.1", "nl"),
]


@pytest.mark.parametrize(("wanted", "tag"), CHOICES)
@pytest.mark.clause("4.15")
def test_which_language_is_chosen(wanted: str, tag: str) -> None:
    assert language.choose(TEXTS, language.parse(wanted)) == tag


@pytest.mark.clause("4.15")
def test_any_language_is_better_than_none() -> None:
    assert language.choose({"sk": "farba"}, ["de"]) == "sk"


@pytest.mark.parametrize("wanted", ["", "fr,", "f r", "fr;q=x", "fr;q=2", "français"])
@pytest.mark.clause("4.15")
def test_what_is_no_language_filter(wanted: str) -> None:
    with pytest.raises(BadRequestData, match="lang"):
        language.parse(wanted)


@pytest.mark.clause("4.15")
def test_sub_attributes_are_filtered_too() -> None:
    label = {"type": "LanguageProperty", "languageMap": {"fr": "a", "en": "b"}}
    entity = Entity("urn:x:1", ["T"], "", "", {"p": [{"type": "Property", "value": 1, "attrs": {"label": [label]}}]})
    (shown,) = language.in_language(entity, ["en"]).attributes["p"]
    assert shown["attrs"]["label"] == [{"type": "Property", "value": "b", "lang": "en"}]
    assert entity.attributes["p"][0]["attrs"]["label"] == [label], "the entity itself is not changed"


@given(
    tags=st.lists(st.sampled_from(["en", "en-US", "fr-CA", "@none", "sk"]), min_size=1, unique=True),
    ranges=st.lists(st.sampled_from(["en", "en-gb", "fr", "fr-ca", "*", "de"]), max_size=4),
)
@pytest.mark.clause("4.15")
def test_some_text_is_always_chosen(tags: list[str], ranges: list[str]) -> None:
    assert language.choose(dict.fromkeys(tags, "x"), ranges) in tags
