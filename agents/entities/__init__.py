"""From measures to NGSI-LD entity fragments (normalized representation). Pure.

A mapping is compiled once for everything that shares a specification (`MappingSpec.key`); what it does for a measure is
then a matter of closures over finished parts.
"""

from agents.device import MappingOf
from agents.entities.full import FullMapping
from agents.entities.plain import PlainMapping, is_plain
from agents.entities.ruled import RuledMapping
from agents.profile import Profile
from agents.pseudonyms import Pseudonyms
from agents.specification import MappingSpec


def compile_mapping(spec: MappingSpec, profile: Profile, pseudonyms: Pseudonyms) -> MappingOf:
    """Return the mapping of a specification; `InvalidExpression`, or `WrongShape` for a static value that is unfit."""
    if profile.entities:
        return RuledMapping(profile, pseudonyms)
    return PlainMapping(spec) if is_plain(spec) else FullMapping(spec)
