"""`/admin/log`, as the FIWARE agents have it: what this agent logs, from now on.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "Log operations".
"""

from fastapi import APIRouter, Response

from agents.api.requests import answer
from agents.logs import LEVELS, THRESHOLD


def log_level_router() -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["operation"])

    @router.get("/admin/log")
    async def tell_level() -> Response:
        """The level: `{"level": "INFO"}`."""
        return answer({"level": THRESHOLD.level})

    @router.put("/admin/log")
    async def change_level(level: str = "") -> Response:
        """Log from `level` on: FATAL, ERROR, WARN (or WARNING), INFO, DEBUG. 200; 400 for any other."""
        if not level:
            return answer({"error": "log level missing"}, 400)
        wanted = {"WARNING": "WARN"}.get(level.upper(), level.upper())
        if wanted not in LEVELS:
            return answer({"error": "invalid log level"}, 400)
        THRESHOLD.level = wanted
        return Response()

    return router
