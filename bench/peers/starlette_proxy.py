"""A reverse proxy as people write it with Starlette (or FastAPI, which is Starlette here) and httpx."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

PREFIX = "/api/multicloud"
PLUGINS: dict[str, str] = json.loads(os.environ["BENCH_PLUGINS"])
HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(limits=limits, timeout=None) as app.state.client:
        yield


async def forward(request: Request) -> StreamingResponse:
    client: httpx.AsyncClient = request.app.state.client
    target = request.scope["raw_path"].decode()
    url = httpx.URL(PLUGINS[request.path_params["vim_id"]] + target.removeprefix(PREFIX)).copy_with(
        query=request.scope["query_string"] or None
    )
    headers = [(name, value) for name, value in request.headers.raw if name.lower() not in HOP_BY_HOP]
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    asked = client.build_request(request.method, url, headers=headers, content=request.stream() if has_body else None)
    answer = await client.send(asked, stream=True)
    response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
    response.raw_headers = [
        (name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP_BY_HOP
    ]
    return response


app = Starlette(routes=[Route("/api/multicloud/v0/{vim_id}/{rest:path}", forward, methods=METHODS)], lifespan=lifespan)
