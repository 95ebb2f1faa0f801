"""Why a benchmark cannot run."""


class BenchError(Exception):
    """The machine or the command line is at fault."""


class WrkMissing(BenchError):
    """wrk is not on PATH."""


class ScenarioUnknown(BenchError):
    """No scenario has that name."""
