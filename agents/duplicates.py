"""Copies of one measure: what they have in common, by the profile's key.

An event whose entity id is made of its key is stored once however often it comes. What is known to be committed (see
`agents.ledger`) is not even written again, so nobody is notified twice.
"""

from datetime import datetime

from agents.measure import Measure, TopicParts
from agents.profile import Profile
from agents.templates import Template
from ngsi.datetimes import system_text

_TO_STAMP = str.maketrans("", "", "-:.")


def stamp(stated: datetime) -> str:
    """Return a time in digits, for ids and keys."""
    text = system_text(stated) if stated.tzinfo else stated.isoformat(timespec="milliseconds")
    return text.translate(_TO_STAMP)


def key_of(
    profile: Profile, template: Template, measure: Measure, parts: TopicParts, device: str, received_at: datetime
) -> str | None:
    """Return what the copies of a measure have in common; None for one that lacks a part of it.

    `WrongShape` names the field that is unfit.
    """
    own = {"device": device, "stamp": stamp(measure.observed_at or received_at)}
    told = {**measure.values, **parts, **own}
    if any(name not in told for name in template.names):
        return None
    return f"{profile.name}/{device}/{template.render(told)}"
