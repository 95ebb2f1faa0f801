"""The page /docs: Swagger UI, served from here, because many sites of a city have no way to the web."""

from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

_ASSETS_URL = "/docs/assets"


def add_docs_page(app: FastAPI) -> None:
    """Adds the page and the files it needs to an application that was made without `docs_url`."""
    app.mount(_ASSETS_URL, StaticFiles(directory=str(files("fastapi_offline") / "static")))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{_ASSETS_URL}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS_URL}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS_URL}/favicon.png",
        )

    @app.get("/", include_in_schema=False)
    async def begin() -> RedirectResponse:
        """Who opens the address that `medina up` or a colleague names finds the documentation."""
        return RedirectResponse("/docs")
