import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import TopicError
from agents.topics import TopicScheme

LEVELS = st.text(st.characters(exclude_characters="/+#{}\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
NAMES = st.text("abcdefghij", min_size=1, max_size=4)


@st.composite
def schemes(draw: st.DrawFn) -> TopicScheme:
    levels = draw(st.lists(LEVELS | st.just("") | NAMES.map(lambda name: f"{{{name}}}"), min_size=1, max_size=5))
    if draw(st.booleans()):
        levels.append("{rest...}")
    named = [level for level in levels if level.startswith("{")]
    if len(set(named)) < len(named):
        levels = list(dict.fromkeys(levels))
    return TopicScheme("/".join(levels))


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT 3.1.1 §4.7, by the book."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


@given(schemes(), st.data())
def test_parse_undoes_format(scheme: TopicScheme, data: st.DataObject) -> None:
    parts = {name: data.draw(LEVELS) for name in scheme.names}
    if "rest" in parts:
        parts["rest"] = "/".join(data.draw(st.lists(LEVELS, min_size=1, max_size=3)))
    topic = scheme.format(**parts)
    assert scheme.parse(topic) == parts
    assert matches(scheme.filter, topic)


@given(schemes(), st.text(max_size=30))
def test_format_undoes_parse(scheme: TopicScheme, topic: str) -> None:
    parts = scheme.parse(topic)
    if parts is not None and not re.search("[+#\0]", topic):
        assert scheme.format(**parts) == topic


@pytest.mark.parametrize(
    ("pattern", "topic_filter"),
    [
        ("/json/{apikey}/{device}/attrs", "/json/+/+/attrs"),
        ("uhppoted/gateway/events", "uhppoted/gateway/events"),
        ("{site}/{device}/onvif-ej/{source...}", "+/+/onvif-ej/#"),
    ],
)
def test_filter(pattern: str, topic_filter: str) -> None:
    assert TopicScheme(pattern).filter == topic_filter


@pytest.mark.parametrize(
    "topic", ["/json/k/d", "/json/k/d/attrs/t", "/json//d/attrs", "json/k/d/attrs", "/json/k/d/attrs\n"]
)
def test_other_topics_are_not_of_the_scheme(topic: str) -> None:
    assert TopicScheme("/json/{apikey}/{device}/attrs").parse(topic) is None


@pytest.mark.parametrize("pattern", ["a/{b", "a/x{b}", "a/{b...}/c", "{a}/{a}", "a/+", "a/#", "a/{}", "a/{1}"])
def test_patterns_that_mean_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(TopicError):
        TopicScheme(pattern)


@pytest.mark.parametrize("part", ["", "a/b", "+", "#", "a\0"])
def test_part_that_would_change_the_levels_is_refused(part: str) -> None:
    with pytest.raises(TopicError):
        TopicScheme("a/{b}").format(b=part)
