"""An endpoint for subscriptions, to try them with: prints each notification that is posted to it.

    python3 docs/examples/receiver.py [PORT]         (3000 if not given; any path will do)

Needs Python 3 only. An application answers like this one: 2xx once it has the notification safe.
"""

import json
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Takes notifications."""

    def do_POST(self) -> None:
        """Print the entities of one notification, a line each, and say that it has come."""
        notification = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        entities = notification["data"]
        for entity in entities["features"] if isinstance(entities, dict) else entities:
            line = f"{notification['notifiedAt']} {self.path} {json.dumps(entity, ensure_ascii=False)}"
            print(line, flush=True)  # noqa: T201  # its purpose
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing but the notifications."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with suppress(KeyboardInterrupt):
        ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
