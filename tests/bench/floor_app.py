"""Floor F1: a bare FastAPI route that reads the raw body and answers fixed bytes."""

from __future__ import annotations

import sys

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from tests.bench import cameras

BODY = orjson.dumps(cameras.camera(cameras.camera_id(0)))
app = FastAPI()


@app.post("/floor")
async def floor(request: Request) -> Response:
    """Read everything, answer an entity's bytes."""
    await request.body()
    return Response(BODY, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
