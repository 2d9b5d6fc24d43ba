"""A reverse proxy as people write it with aiohttp: one client session, one handler for all, streams both ways."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

PREFIX = "/api/multicloud"
PLUGINS: dict[str, str] = json.loads(os.environ["BENCH_PLUGINS"])
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
PIECE = 65536
SESSION = web.AppKey("session", ClientSession)


async def session(app: web.Application) -> AsyncIterator[None]:
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, auto_decompress=False, timeout=ClientTimeout(total=None)) as app[
        SESSION
    ]:
        yield


async def forward(request: web.Request) -> web.StreamResponse:
    url = PLUGINS[request.match_info["vim_id"]] + request.raw_path.removeprefix(PREFIX)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    body = request.content if request.body_exists else None
    async with request.app[SESSION].request(
        request.method, url, headers=headers, data=body, allow_redirects=False
    ) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for piece in answer.content.iter_chunked(PIECE):
            await response.write(piece)
        await response.write_eof()
        return response


def application() -> web.Application:
    app = web.Application(client_max_size=0)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/api/multicloud/v0/{vim_id}/{rest:.*}", forward)
    return app


app = application()
