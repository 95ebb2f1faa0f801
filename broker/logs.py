"""Log lines: JSON where a machine collects them, text on a terminal; no variables of the code in tracebacks."""

import logging
import sys
from typing import Literal

import structlog

LogLevel = Literal["debug", "info", "warning", "error"]


def configure(level: LogLevel) -> None:
    """Sets the form of this process's log; standard error gets the lines of this level and those above it."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    if sys.stderr.isatty():
        form: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        form = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *form],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class RequestLines(logging.Handler):
    """Says what uvicorn's access log says in this process's own form, one line of level `debug` for each request."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logs one request; the path is with its query, percent-encoded as it came."""
        if isinstance(record.args, tuple):
            client, method, path, _version, status = record.args
            structlog.get_logger().debug("request", client=client, method=method, path=path, status=status)
