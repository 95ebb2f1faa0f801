"""Every setting of every role stands in the operators' guide."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from agents.settings import Settings as AgentSettings
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from broker.supervisor.settings import UpSettings, variables, without_effect
from pilots.settings import PilotSettings

GUIDE = Path("docs/operators.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [AgentSettings, DeliverySettings, PilotSettings, Settings, UpSettings])
def test_the_operators_guide_names_each_variable(settings: type[BaseSettings]) -> None:
    assert [variable for variable in sorted(variables(settings)) if f"`{variable}`" not in GUIDE] == []


def test_every_variable_of_the_guide_is_a_setting_and_a_slip_is_told() -> None:
    assert without_effect(re.findall(r"`(MEDINA_[A-Z_]+)`", GUIDE)) == []
    assert without_effect(["MEDINA_PRT", "MEDINA_ZZZ", "PATH"]) == [
        "MEDINA_PRT is no setting of Medina and has no effect; did you mean MEDINA_PORT?",
        "MEDINA_ZZZ is no setting of Medina and has no effect",
    ]
