"""The documentation page in a browser that cannot reach the web."""

from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright

from tests.broker.api.conftest import Api

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
async def test_the_page_lists_the_operations_without_the_web(api: Api) -> None:
    requested: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = await browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        await page.goto(f"{api.address}/docs")
        await page.get_by_text("Create an entity.").wait_for(timeout=15_000)
        await browser.close()
    assert all(url.startswith((api.address, "data:")) for url in requested)


async def test_who_opens_the_bare_address_finds_the_page(api: Api) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{api.address}/") as page:
        assert page.url.path == "/docs"
        assert "swagger-ui" in await page.text()


@pytest.mark.parametrize("path", ["/v2/entities", "/entities", "/ngsi-ld/v2/entities"])
async def test_a_wrong_path_leads_to_the_right_one(api: Api, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(api.address + path) as answer:
        problem = await answer.json()
    assert (answer.status, problem["status"]) == (404, 404)
    assert "/docs" in problem["detail"]
