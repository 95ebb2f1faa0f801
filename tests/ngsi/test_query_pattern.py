"""Regular expressions of clients: what is read, what is refused, and in what time they are searched."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi.errors import BadRequestData
from ngsi.pattern import LENGTH_MAX, TEXT_MAX, parse


@pytest.mark.parametrize(
    ("source", "found", "not_found"),
    [
        ("Hotel", "Grand Hotel", "hotel"),
        ("^Eiffel", "Eiffel Tower", "The Eiffel"),
        ("b$", "ab", "ab\n"),
        ("(?i)^HÔTEL", "hôtel", "otel"),
        (r"^\d{1,3}(\.\d{1,3}){3}$", "10.0.0.255", "10.0.0"),
        ("^(cam|reader)-[a-f0-9]+$", "cam-1f", "cam-1g"),
        (r"[^\s,]+@", "a@b", " @"),
        ("[]a-]x", "]x", "bx"),
        ("[[:alpha:]_]$", "1_", "_1"),
        (r"\u00e9\x{1F600}\x41", "é😀A", "é😀B"),
        (r"\bab\b", "x ab", "xab"),
        (r"\B", "aéé", "aéa"),
        ("a{", "a{", "a"),
        ("a.*b.*c", "xaxbxc", "cba"),
        ("", "", None),
    ],
)
def test_search(source: str, found: str, not_found: str | None) -> None:
    assert parse(source).search(found)
    assert not_found is None or not parse(source).search(not_found)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        *(
            (source, "exponential")
            for source in ("(a+)+", "(a*)*", "(a|b|ab)*c", "(.*,)*x", "(a?){20}", "(a{1,30}){1,30}")
        ),
        *(
            (source, "expected")
            for source in ("(", ")", "a)", "[", "[b-a]", "[]", "*", "a**", "{2}", "a{3,2}", "^*", "\\")
        ),
        *(
            (source, "expected")
            for source in (r"(a)\1", "(?=a)", "(?<n>a)", r"\p{L}", r"\q", "[[.a.]]", "[[:x:]]", r"\ud800")
        ),
        ("(.{1,99}x){1,99}", "too large"),
        ("(" * 21 + ")" * 21, "at most 20 groups"),
        ("a" * (LENGTH_MAX + 1), f"at most {LENGTH_MAX}"),
    ],
)
def test_what_is_refused(source: str, reason: str) -> None:
    with pytest.raises(BadRequestData, match=reason):
        parse(source)


@pytest.mark.parametrize(
    "source", ["(?:[0-9a-f]{2}:)+x", r"^([a-z]+-)*[a-z]+$", r"((\d{1,3}\.){3}\d{1,3},)+x", "^(foo|bar)+$"]
)
def test_repeated_groups_that_leave_no_doubt_are_accepted(source: str) -> None:
    parse(source)


def test_a_literal_beginning_stays_visible_to_an_index() -> None:
    assert parse("^urn:ngsi-ld:Zone:.*").pcre == "^urn:ngsi-ld:Zone:"


def test_patterns_of_polynomial_time_are_looked_for_in_texts_of_bounded_length() -> None:
    assert parse("a.*b.*c").search("abc".rjust(TEXT_MAX))
    assert not parse("a.*b.*c").search("abc".rjust(TEXT_MAX + 1))
    assert parse(".*abc.*").search("abc".rjust(TEXT_MAX * 100))


def test_searching_takes_linear_time() -> None:
    started = time.process_time()
    for source in ("^a*a*a*a*b", "a.*a.*a.*b", "ab$"):
        assert not parse(source).search("a" * 1_000_000)
    assert time.process_time() - started < 1


@given(st.text(alphabet="ab01()[]{}|*+?^$.\\-,:dws", max_size=20))
def test_any_text_is_read_or_refused(source: str) -> None:
    with suppress(BadRequestData):
        parse(source).search("ab01" * 10)


@given(st.text(max_size=30), st.text(max_size=5))
def test_an_escaped_text_is_found_wherever_it_stands(text: str, around: str) -> None:
    assert parse(re.escape(text)).search(around + text + around)
