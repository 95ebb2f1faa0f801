"""The people of the campus: invented names, employee cards and visitor badges."""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Category = Literal["employee", "visitor"]

VISITOR_SHARE: Final = 0.3
LAB_SHARE: Final = 0.22

FIRST_NAMES: Final = (
    *("Amal", "Anas", "Asmae", "Ayoub", "Bouchra", "Driss", "Fatima", "Hajar", "Hamza", "Hicham", "Ikram", "Imane"),
    *("Jalil", "Karim", "Khadija", "Laila", "Mehdi", "Meryem", "Mounir", "Nadia", "Nour", "Omar", "Rachid", "Salma"),
    *("Samir", "Sanae", "Soukaina", "Tarik", "Yassine", "Zineb"),
)
LAST_NAMES: Final = (
    *("Alaoui", "Amrani", "Bakkali", "Benali", "Benjelloun", "Berrada", "Chraibi", "El Fassi", "El Idrissi"),
    *("El Mansouri", "Filali", "Guessous", "Haddad", "Kabbaj", "Lahlou", "Mernissi", "Naciri", "Ouazzani"),
    *("Rahmouni", "Saidi", "Sefrioui", "Tazi", "Touimi", "Ziani"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a badge: a card number (employee) or a UID in hexadecimal (visitor)."""

    number: int
    category: Category
    name: str
    badge: str
    workplace: str


def roster(seed: int, people: int) -> list[Person]:
    """The same people on every day of a seed: employees keep their card, reception lends out the same badges again."""
    rng = Random(f"{seed}/roster")  # noqa: S311 - a game that must be repeatable, no secret
    visitors = round(people * VISITOR_SHARE)
    cards = rng.sample(range(8_000_000, 8_999_999), people)
    return [_person(rng, number, number < visitors, cards[number]) for number in range(people)]


def _person(rng: Random, number: int, is_visitor: bool, card: int) -> Person:
    name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
    if is_visitor:
        return Person(number, "visitor", name, f"{0xA0000000 + card:08x}", "hall")
    return Person(number, "employee", name, str(card), "lab" if rng.random() < LAB_SHARE else "hall")
