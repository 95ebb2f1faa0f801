"""`/iot/about` and `/version`, as the FIWARE agents have them."""

from importlib.metadata import version

from fastapi import APIRouter, Response

from agents.api.requests import answer


def about_router(port: int) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["about"])
    about = {"libVersion": version("medina"), "version": version("medina"), "port": str(port), "baseRoot": "/"}

    @router.get("/iot/about")
    @router.get("/version")
    async def tell_version() -> Response:
        """Version, port and base path."""
        return answer(about)

    return router
