"""Paths as existing scripts write them: `/iot/services/` is `/iot/services`, as with the FIWARE agents."""

from starlette.types import ASGIApp, Receive, Scope, Send


class WithoutSlashAtTheEnd:
    """Takes the slash off a path; a redirection would need clients that follow it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)
