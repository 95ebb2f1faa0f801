"""Ask a role for its health; `python -m broker.health URL` is the health check of its container.

Nothing but the standard library, because container engines run it every few seconds.
"""

import http.client
import json
import sys
from typing import Any, Final
from urllib.parse import urlsplit

ASK_WITHIN_S: Final = 2.0


def why_not_ready(url: str) -> str | None:
    """Ask an address like http://127.0.0.1:1026/ready: None when it answers 2xx, otherwise the reason."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=ASK_WITHIN_S)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        body = response.read()
    except ConnectionRefusedError:
        return "does not listen"
    except (OSError, http.client.HTTPException) as problem:
        return f"does not answer: {problem}"
    finally:
        connection.close()
    return None if 200 <= response.status < 300 else _failed_checks(body) or f"answers {response.status}"


def _failed_checks(body: bytes) -> str:
    try:
        checks: dict[str, Any] = json.loads(body)["checks"]
        return ", ".join(f"{name}: {state}" for name, state in checks.items() if state != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


if __name__ == "__main__":
    sys.exit(why_not_ready(sys.argv[1]))
