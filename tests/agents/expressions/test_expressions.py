"""Expressions give what the FIWARE agents' documentation and tests say; whatever the text, they end in time."""

import math
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import ExpressionFailed, InvalidExpression
from agents.expressions import compile_expression
from agents.expressions.grammar import DEPTH_MAX, LENGTH_MAX
from agents.expressions.transforms import TRANSFORMS

MEASURE: dict[str, Any] = {
    "value": 6,
    "other": 3,
    "ts": 1637245214901,
    "name": "DevId629",
    "object": {"name": "John", "surname": "Doe"},
    "array": [1, 3],
    "theString": "12.6,   -19.4",
    "location": "40.4165, -3.70256",
    "spaces": "5 a b c d 5",
    "big": 2000,
    "broken": '{"name": "John", surname": "Doe"}',
    "people": [{"name": "Lana", "age": 33}, {"name": "Archer", "age": 36}],
}

ARITHMETIC = [
    ("5 * value", 30),
    ("(6 + value) * 3", 36),
    ("value / 12 + 1", 1.5),
    ("(5 - other) * (value + 7)", 26),
    ("value * 5.2", 31.2),
    ("7 // 2", 3),
    ("-7 % 4", -3),
    ("2 ^ 10", 1024),
    ("2 + 3 * 2 ^ 2", 14),
    ("10 - 4 - 3", 3),
    ("-value + 10", 4),
    ("value / 3", 2),
    ("'7' * '2'", 14),
    ("value / 0", None),
    ("9^9^9^9", None),
    ("missing * 2", None),
    ("'text' * 2", None),
    ("true + 1", 2),
]

TEXTS = [
    ('"Pruebas " + "De Strings"', "Pruebas De Strings"),
    ('name + "value is " +value', "DevId629value is 6"),
    ("1.5 + 'x'", "1.5x"),
    ("0.00001 + ''", "0.00001"),
    ("[1, [2, null]] + ''", "1,2,"),
    ("'it\\'s'", "it's"),
    ("theString|substr(theString|indexOf(',') + 1, theString|length)|trim", "-19.4"),
    ("name|substr(0,name|indexOf('e')+1)", "De"),
    ("name|substr(-3)", "629"),
    ("name|length", 8),
    ("name.length", 8),
    ("(24 * big)|indexOf('80')", 1),
    ("'AABBCC'|slice(2,4)", "BB"),
    ("'a-b-c'|replacestr('-', '+')", "a+b-c"),
    ("'a-b-c'|replaceallstr('-', '$&$&')", "a--b--c"),
    ("'x12y3'|replaceregexp('[0-9]+', '<$&>')", "x<12>y3"),
    ("'x12y3'|replaceallregexp('([a-z])([0-9]+)', '$2$1')", "12x3y"),
    ("'a b/ñ'|urlencode", "a%20b/%C3%B1"),
    ("'a%20b'|urldecode", "a b"),
    ("'%E0%A4%A'|urldecode", None),
    ("'48692e'|hextostring", "Hi."),
    ("'zz'|hextostring", None),
    ("name|tolowercase|touppercase", "DEVID629"),
    ("'hello'|hash", "05E918D2"),
    ("location | split(', ')[1] | parsefloat()", -3.70256),
]

LOGIC = [
    ("value == 6 ? true : false", True),
    ("value == 6 && spaces|indexOf('a')>0", True),
    ("'6' == value", True),
    ("missing ? 1 : 2", 2),
    ("missing ?: 'none'", "none"),
    ("name ?: 'none'", "DevId629"),
    ("!missing && !''", True),
    ("'10' < '9'", True),
    ("10 < '9'", False),
    ("missing < 5 || missing >= 5", False),
    ("'ev' in name", True),
    ("3 in array", True),
    ("'3' in array", False),
    ("value > 5 ? value > 5.5 ? 'a' : 'b' : 'c'", "a"),
    ("true ? 1 : 2 # so it is", 1),
]

STRUCTURES = [
    ("{coordinates: [value,value], type: 'Point'}", {"coordinates": [6, 6], "type": "Point"}),
    ("{$inc: value-other, 'two words': 2}", {"$inc": 3, "two words": 2}),
    ("object.name", "John"),
    ("object['sur' + 'name']", "Doe"),
    ("object['nothing']", None),
    ("object.nothing.more", None),
    ("array[1]+1", 4),
    ("array[7]", None),
    ("people[.age > 35].name", "Archer"),
    ("people[.age > 30 && .name != 'Lana']|lengtharray", 1),
    ("array|concatarr(array)", [1, 3, 1, 3]),
    ("array|joinarrtostr('_')", "1_3"),
    ("array|addreduce", 4),
    ("[]|addreduce", None),
    ("array|addset(3)|addset(5)", [1, 3, 5]),
    ("[1, 1, 2]|removeset(1)", [2]),
    ("array|isarray", True),
    ("missing|isarray", False),
    ("object|typeof", "object"),
    ("missing|typeof", "undefined"),
    ('"{\\"name\\":\\"John\\"}"|jsonparse', {"name": "John"}),
    ("broken|jsonparse", None),
    ('{name: "John"}|jsonstringify', '{"name":"John"}'),
    ("{a: true, b: false, c: true}|valuePicker(true)", ["a", "c"]),
    ("{a: 1, b: 2, c: 3}|valuePickerMulti([1, 3])", ["a", "c"]),
    ("null", None),
]

NUMBERS = [
    ("'0x1F' * 1", 31),
    ("'0b101' + 0", "0b1010"),
    ("'0x' * 1", None),
    ("'0x1F'|round", 31),
    ("ts|toisodate", "2021-11-18T14:20:14.901Z"),
    ("'2021-11-18T15:20:14.901+01:00'|gettime", 1637245214901),
    ("'2021-11-18'|toisostring", "2021-11-18T00:00:00.000Z"),
    ("'yesterday'|toisodate", None),
    ("ts|timeoffset", 0),
    ("ts|localestring('en-US', {timeZone: 'Africa/Casablanca'})", "11/18/2021, 3:20:14 PM"),
    ("ts|localestring('es-ES')", "18/11/2021, 14:20:14"),
    ("'12.9 km'|parseint", 12),
    ("'12.9 km'|parsefloat", 12.9),
    ("'km'|parsefloat", None),
    ("'km'|isnan", True),
    ("2.5|round", 3),
    ("(0-2.5)|round", -2),
    ("2.1|ceil", 3),
    ("2.9|floor", 2),
    ("2.345|tofixed(1)", "2.3"),
    ("0.5|tofixed(0)", "1"),
    ("1.005|tofixed(2)", "1.00"),
    ("1|mapper([0, 1], ['off', 'on'])", "on"),
    ("7|mapper([0, 1], ['off', 'on'])", None),
    ("15|thmapper([10, 20, 30], ['low', 'fair', 'high'])", "fair"),
    ("'12'|bitwisemask(4, '&', 2)", 1),
    ("1|bitwisemask(6, '|', 0)", 7),
    ("5|bitwisemask(1, '^', 0)", 4),
    ("1234567.89|localestringnumber('es-ES', {minimumFractionDigits: 2, maximumFractionDigits: 2})", "1.234.567,89"),
    ("'x'|localestringnumber('en-US')", None),
]


@pytest.mark.parametrize(("text", "expected"), [*ARITHMETIC, *TEXTS, *LOGIC, *STRUCTURES, *NUMBERS])
def test_value(text: str, expected: object) -> None:
    found = compile_expression(text)(MEASURE)
    if isinstance(expected, float):
        assert found == pytest.approx(expected)
    else:
        assert found == expected
        assert type(found) is type(expected)


def test_now_is_the_time_in_milliseconds() -> None:
    found = compile_expression("0|now")(MEASURE)
    assert isinstance(found, int)
    assert found > MEASURE["ts"]


def test_the_names_are_those_of_variables() -> None:
    assert compile_expression("a.b + c[d]|substr(e) ? {f: g} : people[.age > h]").names == {
        *("a", "c", "d", "e", "g", "people", "h")
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"numb+sd ññ ((', "expected a value at 0"),
        ("", "the expression ends"),
        ("1 +", "expected a value at 3"),
        ("(1", "expected ')'"),
        ("a b", "expected an operator or the end at 2"),
        ("a ? b", "expected ':'"),
        ("a|", "expected the name of a transform"),
        ("a|nothing", "There is no transform 'nothing'; there are addreduce"),
        ("{1: 2}", "expected the name of a member"),
        ("(" * (DEPTH_MAX + 1), "nothing deeper"),
        ("!" * (DEPTH_MAX + 2) + "a", "nothing deeper"),
        ("1" * (LENGTH_MAX + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(InvalidExpression, match=says.replace("(", r"\(").replace(")", r"\)")):
        compile_expression(text)


@pytest.mark.parametrize(
    "text", ["value|split(',')", "value|slice(1)", "name|replaceregexp('(', '')", "5|joinarrtostr"]
)
def test_a_transform_that_cannot_take_its_value_says_so_without_it(text: str) -> None:
    with pytest.raises(ExpressionFailed, match="transform ") as refused:
        compile_expression(text)(MEASURE)
    assert "DevId629" not in str(refused.value)


def test_a_text_cannot_grow_without_bound() -> None:
    text = "name" + "|replaceallstr('', name + name)" * 30
    with pytest.raises(ExpressionFailed):
        compile_expression(text)(MEASURE)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_WORDS = st.sampled_from(
    [
        *("value", "name", "array", "object", "missing", "1", "2.5", "'a'", "''", "true", "null"),
        *("[", "]", "{", "}", "(", ")", "!", "?", ":", ".", ",", "|", ".x"),
        *("+", "-", "*", "/", "//", "%", "^", "==", "!=", "<", ">=", "&&", "||", "in"),
        *("|length", "|slice(1)", "|addreduce", "|split('')", "|tofixed(2)", "|round", "|bitwisemask(3,'&',1)"),
    ]
)


@given(st.text() | st.lists(_WORDS, max_size=12).map(" ".join), st.dictionaries(_WORDS, _JSON) | st.just(MEASURE))
def test_any_text_over_any_values_gives_json_or_a_clear_error(text: str, variables: dict[str, Any]) -> None:
    try:
        found = compile_expression(text)(variables)
    except (InvalidExpression, ExpressionFailed):
        return
    assert not (isinstance(found, float) and not math.isfinite(found))
    orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
@given(st.lists(_JSON | st.sampled_from([1e308, -0.0, "", "ff", "{}", [[]], {"a": 1}]), min_size=1, max_size=4))
@settings(max_examples=30)
def test_transforms_take_any_values_or_tell(name: str, values: list[Any]) -> None:
    subject, *arguments = (f"p{place}" for place in range(len(values)))
    expression = compile_expression(f"{subject}|{name}({', '.join(arguments)})")
    with suppress(ExpressionFailed):
        orjson.dumps(expression({f"p{place}": value for place, value in enumerate(values)}))


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(1, 1000))
def test_arithmetic_is_that_of_python_where_both_agree(a: int, b: int, c: int) -> None:
    variables = {"a": a, "b": b, "c": c}
    assert compile_expression("a + b * c - (a - b) * 2")(variables) == a + b * c - (a - b) * 2
    assert compile_expression("a // c")(variables) == a // c
    assert compile_expression("a < b || a >= b")(variables) is True
