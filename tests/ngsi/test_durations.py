import pytest

from ngsi.durations import require_duration_s
from ngsi.errors import BadRequestData


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("P1D", 86_400), ("PT10M", 600), ("PT1H30M", 5400), ("P1W", 604_800), ("P1Y2M", 425 * 86_400), ("PT0.5S", 0.5)],
)
def test_a_duration_lasts(text: str, seconds: float) -> None:
    assert require_duration_s(text, "lifetime") == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1hour", "P-1D", "PT1H ", "T1H", "P1H", 5, None, "P" + "9" * 20 + "D"]
)
def test_what_is_none_is_refused(text: object) -> None:
    with pytest.raises(BadRequestData, match="lifetime"):
        require_duration_s(text, "lifetime")
