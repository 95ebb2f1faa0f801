"""The grammar of the regular expressions that clients write.

    pattern  = [ "(?i)" ] choice
    choice   = sequence *( "|" sequence )
    sequence = *( atom [ repeat ] )
    atom     = group / set / escape / "." / "^" / "$" / character
    repeat   = ( "*" / "+" / "?" / "{" n [ "," [ m ] ] "}" ) [ "?" ]
    group    = "(" [ "?:" ] choice ")"
    set      = "[" [ "^" ] 1*( setItem [ "-" setItem ] ) "]"     ; setItem: character, escape or a class like [:alpha:]

This is what POSIX extended, ECMAScript and Perl expressions have in common, less what no automaton can run (references,
look-around).
"""

import re
from typing import NoReturn

from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.pattern_tree import (
    CODE_POINT_MAX,
    Characters,
    Choice,
    Edge,
    Part,
    Ranges,
    Repeat,
    Sequence,
    complement,
    folded,
    ranges,
)

_DEPTH_MAX = 20
"""Groups inside one another."""

_DIGITS = ((0x30, 0x39),)
_LOWER = ((0x61, 0x7A),)
_UPPER = ((0x41, 0x5A),)
_ALPHA = _UPPER + _LOWER
_WORD = ranges(_DIGITS + _ALPHA + ((0x5F, 0x5F),))
_SPACE = ((0x09, 0x0D), (0x20, 0x20))
_PUNCTUATION = ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E))

_CLASSES: dict[str, Ranges] = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_NAMED_CLASSES: dict[str, Ranges] = {
    "alnum": _DIGITS + _ALPHA,
    "alpha": _ALPHA,
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "digit": _DIGITS,
    "lower": _LOWER,
    "punct": _PUNCTUATION,
    "space": _SPACE,
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": (*_DIGITS, (0x41, 0x46), (0x61, 0x66)),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}
_EDGES = {"b": Edge(r"\b"), "B": Edge(r"\B"), "A": Edge("^"), "z": Edge(r"\z")}
_REPEAT = re.compile(r"(?:([*+?])|\{([0-9]{1,4})(,([0-9]{0,4}))?\})\??")
_HEX = re.compile(r"x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})")
_NAMED = re.compile(r"\[:([a-z]+):\]")


def read(source: str) -> Part:
    """The tree of a pattern; BadRequestData that names the place and what was expected there."""
    return _Parser(source).pattern()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0
        self._fold = False

    def pattern(self) -> Part:
        """[ "(?i)" ] choice."""
        self._fold = self._accept("(?i)")
        tree = self.choice()
        if self._at < len(self._source):
            self._refuse("the end, or a '(' before this ')'")
        return tree

    def choice(self) -> Part:
        """Sequences between "|"."""
        parts = [self.sequence()]
        while self._accept("|"):
            parts.append(self.sequence())
        if len(parts) == 1:
            return parts[0]
        # (?:a|b) as [ab]: the engines run a set without backtracking.
        if all(isinstance(part, Characters) for part in parts):
            return Characters(ranges(r for part in parts if isinstance(part, Characters) for r in part.ranges))
        return Choice(tuple(parts))

    def sequence(self) -> Part:
        """*( atom [ repeat ] )."""
        parts: list[Part] = []
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            parts.append(self.repeat(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeat(self, part: Part) -> Part:
        """The part itself, or repeated. A lazy `?` changes nothing, because only whether it matches counts."""
        found = _REPEAT.match(self._source, self._at)
        if found is None:
            return part
        if isinstance(part, Edge):
            self._refuse("something to repeat; '^', '$' and \\b cannot be")
        self._at = found.end()
        sign, low, comma, high = found.groups()
        if sign is not None:
            repeated = Repeat(part, 1 if sign == "+" else 0, 1 if sign == "?" else None)
        else:
            repeated = Repeat(part, int(low), int(low) if comma is None else int(high) if high else None)
        if repeated.high is not None and repeated.high < repeated.low:
            self._refuse("a count such as {2,5}, the lower number first")
        if _REPEAT.match(self._source, self._at) is not None:
            self._refuse("one repetition sign; put the inner one in a group")
        return repeated

    def atom(self) -> Part:
        """group / set / escape / "." / "^" / "$" / character."""
        letter = self._source[self._at]
        match letter:
            case "(":
                return self.group()
            case "[":
                return Characters(self._cased(self.set()))
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                self._refuse("something to repeat before the sign; a literal one is written with a backslash")
            case "{" if _REPEAT.match(self._source, self._at):
                self._refuse("something to repeat before the count; a literal brace is written with a backslash")
        self._at += 1
        if letter == ".":
            return Characters(complement(((0x0A, 0x0A),)))
        if letter in "^$":
            return _EDGES["A" if letter == "^" else "z"]
        return Characters(self._cased(_single(letter)))

    def group(self) -> Part:
        """A choice in parentheses; "?:" after the first is allowed and changes nothing."""
        self._at += 1
        if not self._accept("?:") and self._source.startswith("?", self._at):
            self._refuse("(…) or (?:…); look-around, named groups and other extensions are not accepted")
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._refuse(f"at most {_DEPTH_MAX} groups inside one another")
        part = self.choice()
        if not self._accept(")"):
            self._refuse("')'")
        self._depth -= 1
        return part

    def set(self) -> Ranges:
        """The characters of a bracket expression."""
        self._at += 1
        negated = self._accept("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._accept("]"):
            first = False
            low = self.set_item()
            if self._at + 1 < len(self._source) and self._source[self._at] == "-" and self._source[self._at + 1] != "]":
                self._at += 1
                high = self.set_item()
                if not _is_single(low) or not _is_single(high) or low[0][0] > high[0][0]:
                    self._refuse("a range such as a-z, the lower character first")
                low = ((low[0][0], high[0][0]),)
            found.extend(low)
        inside = self._cased(ranges(found)) if negated else ranges(found)
        if negated and not (inside := complement(inside)):
            self._refuse("a set with some character in it")
        return inside

    def set_item(self) -> Ranges:
        """A character, an escape, or a class such as [:alpha:]."""
        if self._at >= len(self._source):
            self._refuse("']'")
        named = _NAMED.match(self._source, self._at)
        if named is not None:
            if named[1] not in _NAMED_CLASSES:
                self._refuse(f"a class such as [:alpha:]; known are {', '.join(_NAMED_CLASSES)}")
            self._at = named.end()
            return ranges(_NAMED_CLASSES[named[1]])
        letter = self._source[self._at]
        if letter == "\\":
            part = self.escape()
            if isinstance(part, Characters):
                return part.ranges
            self._refuse("a character; \\b, \\B, \\A and \\z have no meaning inside [ ]")
        if self._source.startswith(("[.", "[="), self._at):
            self._refuse("a character; collating elements are not accepted")
        self._at += 1
        return _single(letter)

    def escape(self) -> Part:
        r"""\d \D \w \W \s \S \b \B \A \z, \t \n \r \f \v \a \e, \xhh \x{h…} \uhhhh, or a backslash and punctuation."""
        self._at += 1
        if self._at >= len(self._source):
            self._refuse("a character after the backslash")
        code = _HEX.match(self._source, self._at)
        if code is not None:
            self._at = code.end()
            point = int(code[1] or code[2] or code[3], 16)
            if point > CODE_POINT_MAX or 0xD800 <= point <= 0xDFFF:
                self._refuse("the code of a Unicode character")
            return Characters(self._cased(((point, point),)))
        letter = self._source[self._at]
        if letter.isalnum() and letter not in "dDwWsS" and letter not in _CONTROLS and letter not in _EDGES:
            self._refuse("an escape such as \\d, \\w, \\s, \\b or \\x41; references and \\p{…} are not accepted")
        self._at += 1
        if letter in _EDGES:
            return _EDGES[letter]
        if letter.lower() in _CLASSES:
            inside = _CLASSES[letter.lower()]
            return Characters(inside if letter.islower() else complement(inside))
        return Characters(self._cased(_single(_CONTROLS.get(letter, letter))))

    def _cased(self, inside: Ranges) -> Ranges:
        return folded(inside) if self._fold else inside

    def _accept(self, text: str) -> bool:
        if not self._source.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _refuse(self, expected: str) -> NoReturn:
        raise BadRequestData(
            f"Regular expression {show(self._source)}: at character {self._at + 1} expected {expected}; "
            "a right one is ^Room-[0-9]+$"
        )


def _single(letter: str) -> Ranges:
    code = ord(letter)
    return ((code, code),)


def _is_single(inside: Ranges) -> bool:
    return len(inside) == 1 and inside[0][0] == inside[0][1]
