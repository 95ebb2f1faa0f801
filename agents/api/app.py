"""The application of port 4041, put together."""

from fastapi import APIRouter, FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry

from agents.api.about import about_router
from agents.api.log_level import log_level_router
from agents.api.paths import WithoutSlashAtTheEnd
from agents.api.provisioning import provisioning_router
from agents.api.requests import answer_refusals
from agents.ops import Checks, add_operations
from agents.provisioning.service import Provisioning

TAGS = [
    {"name": "provisioning", "description": "Groups and devices are made known here, as in the FIWARE agents."},
    {"name": "profiles", "description": "What a payload becomes, without storing it."},
    {"name": "commands", "description": "What became of commands."},
    {"name": "insight", "description": "Who speaks, and what was refused."},
    {"name": "about"},
    {"name": "operation", "description": "Health and metrics."},
]
"""The sections of the page /docs, in their order."""


def make_app(
    checks: Checks,
    registry: CollectorRegistry,
    provisioning: Provisioning | None,
    port: int,
    *further: APIRouter,
) -> FastAPI:
    """Return the application."""
    app = FastAPIOffline(title="Medina IoT agent", openapi_tags=TAGS, docs_url="/docs", redoc_url=None)
    add_operations(app, checks, registry)
    app.include_router(provisioning_router(provisioning))
    app.include_router(about_router(port))
    app.include_router(log_level_router())
    for router in further:
        app.include_router(router)
    answer_refusals(app)
    app.add_middleware(WithoutSlashAtTheEnd)

    @app.get("/", include_in_schema=False)
    async def begin() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
