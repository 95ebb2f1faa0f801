"""Logging of the agent process: readable on a terminal, JSON lines otherwise."""

import logging
import sys

import structlog

LEVELS = {
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
"""The levels of the FIWARE agents."""

_OF_METHODS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class Threshold:
    """What is logged: lines of this level, and those above it. It can be changed while the agent runs."""

    def __init__(self) -> None:
        self.level = "INFO"

    def __call__(
        self, logger: structlog.typing.WrappedLogger, method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Let a line pass, or drop it."""
        if _OF_METHODS.get(method, logging.ERROR) < LEVELS[self.level]:
            raise structlog.DropEvent
        return line


THRESHOLD = Threshold()
"""That of this process."""


def configure_logging(level: str) -> None:
    """Set structlog up for this process, on stderr; `level` is one of the settings', e.g. `info`."""
    THRESHOLD.level = {"warning": "WARN"}.get(level, level.upper())
    form: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if sys.stderr.isatty():  # no variables in tracebacks: they may hold what a device sent
        form = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[
            THRESHOLD,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            *form,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
