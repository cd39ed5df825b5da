"""The peer: an empty Starlette app on stock Hypercorn with its trio worker. Prints its port, serves until it is ended.

It reads the body and answers 202 with a constant: what a request costs before anything is done with it.
"""

from __future__ import annotations

import socket
import sys
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def answer(request: Request) -> JSONResponse:
    """Read what came, say 202."""
    await request.body()
    return JSONResponse({"id": "e0000000000000", "status_url": "/v1/events/e0000000000000"}, 202)


def main() -> None:
    """Serve on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f'{{"port": {listener.getsockname()[1]}}}', flush=True)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.errorlog = None
    config.keep_alive_max_requests = sys.maxsize
    trio.run(partial(serve, Starlette(routes=[Route("/v1/events", answer, methods=["POST"])]), config))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
