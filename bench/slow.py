"""A plugin that takes half a second to say what room a region has, and a second for the first region:
`python -m bench.slow PORT`."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress

SECONDS, FIRST_SECONDS = 0.5, 1.0
FIRST = re.compile(rb"_r0+/")
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
ROOM = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"result": true}'


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if length := LENGTH.search(head):
                await reader.readexactly(int(length[1]))
            await asyncio.sleep(FIRST_SECONDS if FIRST.search(head.partition(b"\r\n")[0]) else SECONDS)
            writer.write(ROOM)
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
