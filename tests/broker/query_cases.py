"""Generated entity documents and queries that have names, members and values in common, so that many of them meet."""

import json
from typing import Any

from hypothesis import strategies as st

from ngsi.datetimes import require_expiry
from ngsi.names import key
from ngsi.vocabulary import VALUE_MEMBER

Document = dict[str, Any]

NOW = "2026-03-01T08:00:00.250Z"
"""The present of the queries: in the middle of the times that documents expire at."""

NAMES = ["a", "b", "https://e.org/x.y/$n"]
_KEYS = {name: key(name) if ":" in name else name for name in NAMES}
_MEMBERS = ["m", "n", "$gt", "0", "@value", "en", "fr", "*", "ü ö"]
_URIS = ["urn:x:1", "urn:x:2", "https://e.org/v#t"]

datetimes = st.builds(
    "{}{}Z".format,
    st.sampled_from(["2026-03-01T08:00:00", "2026-03-01T08:00:01", "2026-02-28T23:59:59", "2026-03-01T08:00:60"]),
    st.one_of(
        st.just(""),
        st.builds(
            "{}{}".format,
            st.sampled_from(".,"),
            st.sampled_from(["0", "000", "2", "20", "200000", "25", "250", "2501", "3", "299999", "000001", "999"]),
        ),
    ),
)
expiries = datetimes.map(lambda text: require_expiry(text, "expiresAt"))
_dates = st.sampled_from(["2026-03-01", "2026-03-02", "2026-02-30"])
_times = st.sampled_from(["08:00:00Z", "08:00:00.0Z", "08:00:00.25Z", "08:00:01Z", "08:00:00.2Z"])
_numbers = st.sampled_from([0, 1, 1.0, 2, 2.5, -1, -0.0, 2**53, 2**53 + 1, float(2**53), 2**62, 1e300])
_words = st.sampled_from(
    ["", "a", "ab", "b", "abab", "A", "x.y", "$gt", "1", "true", '"', "a;b|c)", "\\", "é", "😀", "\x00", "2026", "a\nb"]
)
strings = st.one_of(_words, _words, datetimes, _dates, _times, st.sampled_from(_URIS))
scalars = st.one_of(_numbers, st.booleans(), strings, datetimes)
_typed = st.builds(
    lambda kind, value: {"@type": kind, "@value": value},
    st.sampled_from(["DateTime", "https://uri.etsi.org/ngsi-ld/DateTime", "Date", "Time", "x", ["DateTime"]]),
    st.one_of(datetimes, _dates, _times, st.lists(datetimes, max_size=2), _numbers),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_MEMBERS), inner, max_size=3))


values = st.one_of(
    scalars, scalars, _typed, st.recursive(st.one_of(scalars, st.none(), _typed), _containers, max_leaves=5)
)
_not_null = values.filter(lambda value: value is not None)
_objects = st.dictionaries(st.sampled_from(_MEMBERS), values, max_size=3)
_language_texts = st.one_of(strings, st.lists(strings, max_size=2))
_CONTENT: dict[str, st.SearchStrategy[Any]] = {
    "Property": _not_null,
    "GeoProperty": st.just({"type": "Point", "coordinates": [1.0, 2.0]}),
    "Relationship": st.one_of(st.sampled_from(_URIS), st.lists(st.sampled_from(_URIS), max_size=2)),
    "LanguageProperty": st.dictionaries(st.sampled_from(["en", "fr", "@none"]), _language_texts, max_size=2),
    "VocabProperty": st.one_of(st.sampled_from(_URIS), st.lists(st.sampled_from(_URIS), max_size=2)),
    "JsonProperty": st.one_of(_objects, st.lists(_objects, max_size=2)),
    "ListProperty": st.lists(values, max_size=3),
    "ListRelationship": st.lists(st.sampled_from(_URIS), max_size=2),
}
_SYSTEM_TIMES = ["2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00.250Z", "2026-03-01T08:00:01.000Z"]
_system_times = st.sampled_from(_SYSTEM_TIMES)


@st.composite
def _instances(draw: st.DrawFn, depth: int) -> Document:
    kind = draw(st.sampled_from(["Property", "Property", "Property", *_CONTENT]))
    instance: Document = {"type": kind, VALUE_MEMBER[kind]: draw(_CONTENT[kind])}
    instance |= {"createdAt": draw(_system_times), "modifiedAt": draw(_system_times)}
    optional = {
        "observedAt": datetimes,
        "unitCode": st.just("a"),
        "datasetId": st.just("urn:x:1"),
        "expiresAt": expiries,
    }
    for member, content in optional.items():
        if draw(st.booleans()):
            instance[member] = draw(content)
    if depth and draw(st.booleans()):
        instance["attrs"] = draw(_attributes(depth - 1))
    return instance


def _attributes(depth: int) -> st.SearchStrategy[Document]:
    return st.dictionaries(
        st.sampled_from(list(_KEYS.values())), st.lists(_instances(depth), min_size=1, max_size=2), max_size=2
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """An entity as it lies in MongoDB, but for `_id`."""
    document = {
        "type": ["T"],
        "createdAt": draw(_system_times),
        "modifiedAt": draw(_system_times),
        "attrs": draw(_attributes(1)),
    }
    if draw(st.booleans()):
        document["expiresAt"] = draw(expiries)
    return document


_PATTERNS = [
    "a",
    "^a",
    "b$",
    "^(ab)+$",
    "[a-c]b",
    "(?i)^A",
    "^.$",
    r"\s",
    r"^\d+",
    "^$",
    "^urn:x:[12]$",
    r"\W",
    "é|😀",
    "^2026",
]
_patterns = st.sampled_from(_PATTERNS)


def _quoted(text: str) -> str:
    return json.dumps(text)


def _bare_number(number: float) -> str:
    return json.dumps(number)


_comparables = st.one_of(_numbers.map(_bare_number), strings.map(_quoted), datetimes, datetimes, _dates, _times)
_literals = st.one_of(_comparables, st.sampled_from(["true", "false", "a", *_URIS]))
_ranges = st.one_of(
    *(
        st.builds("{}..{}".format, ends, ends)
        for ends in (_numbers.map(_bare_number), _words.map(_quoted), datetimes, _dates)
    )
)
_lists = st.lists(_literals, min_size=1, max_size=3).map(",".join)
_members = st.sampled_from(["observedAt", "createdAt", "modifiedAt", "unitCode", "datasetId", "expiresAt"])
_inside = st.lists(st.sampled_from(_MEMBERS), min_size=1, max_size=2).map(lambda steps: f"[{'.'.join(steps)}]")


@st.composite
def _paths(draw: st.DrawFn) -> str:
    names = ".".join([*draw(st.lists(st.sampled_from(NAMES[:2]), max_size=1)), draw(st.sampled_from(NAMES))])
    form = draw(st.sampled_from(["attribute", "attribute", "attribute", "inside", "member", "entity"]))
    if form == "entity":
        return draw(st.sampled_from(["createdAt", "modifiedAt", "expiresAt"]))
    return names + {"attribute": "", "inside": draw(_inside), "member": "." + draw(_members)}[form]


comparisons = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["==", "!="]), st.one_of(_literals, _lists, _ranges)),
    st.builds("{}{}".format, st.sampled_from(["<", "<=", ">", ">="]), _comparables),
    st.builds('{}"{}"'.format, st.sampled_from(["~=", "!~="]), _patterns),
    st.just(""),
)
_terms = st.one_of(st.builds("{}{}".format, _paths(), comparisons), st.builds("!{}".format, _paths()))
queries = st.recursive(
    _terms,
    lambda inner: st.builds(
        lambda terms, sign: f"({sign.join(terms)})", st.lists(inner, min_size=2, max_size=3), st.sampled_from(";|")
    ),
    max_leaves=3,
)
"""Texts of queries, all of them right."""

_LETTERS = "abAB1-_ .\n\t\x0b\u00a0é\u212a\u017f😀"  # with the Kelvin sign and the long s, which case folding may touch
pattern_subjects = st.text(st.sampled_from(_LETTERS), max_size=6)
_ATOMS = r"a b . ^ $ \s \S \w \W \d \D \b \B [ab] [^a] [^\s-] é _ - 1 ab \. \n \x61 \u00e9 \x{1f600} [[:alpha:]_] [A-b]"
_atoms = st.sampled_from([*_ATOMS.split(" "), " "])
_repeats = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])
_pieces = st.builds("{}{}".format, _atoms, _repeats)
made_patterns = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "(?i)"]),
    st.recursive(
        st.lists(_pieces, min_size=1, max_size=4).map("".join),
        lambda inner: st.one_of(
            st.builds("({}){}".format, inner, _repeats),
            st.builds("{}|{}".format, inner, inner),
            st.builds("{}{}".format, inner, inner),
        ),
        max_leaves=4,
    ),
)
"""Regular expressions, most of them such that are accepted."""
