"""A plugin for many slow clients at once: answers `/big` with bytes without end, all else with `ok`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PIECE = b"x" * 16384


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(high=len(PIECE))
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/big " not in head.partition(b"\r\n")[0]:
                writer.write(OK)
                continue
            writer.write(BIG)
            while True:
                writer.write(PIECE)
                await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print("listens on {} port {}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
