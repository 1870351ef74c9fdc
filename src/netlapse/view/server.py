"""`netlapse view`: a server of this machine that shows runs in the browser, and follows those that grow."""

from __future__ import annotations

import json
import secrets
import socket
import webbrowser
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .. import catalog, errors
from ..listing import as_json
from .guard import Guard
from .library import Library
from .page import built_viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import Request

    from ..replay import Replay

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>netlapse</title>
</head>
<body>
<script src="viewer.js"></script>
</body>
</html>
"""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What a page is told of an error, the first that fits.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.UnknownName, 404),
    # Whoever asks again later may have more luck.
    (errors.MissingFrame, 409),
    (errors.NetlapseError, 422),
    (ImportError, 422),
    (ValueError, 400),
    (OSError, 502),
)


def serve(
    root: str,
    open_run: Callable[[str], Replay],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the runs below `root`, a folder or URL, until Ctrl-C. Port 0 is a free one.

    `open_run` opens one for replay; `say` is told the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(f"port {port} of {host} cannot be had: {error.strerror}; choose another, 0 for any") from error
    with listening:
        token = secrets.token_urlsafe(24)
        named = f"[{host}]" if ":" in host else "127.0.0.1" if host in ("", "0.0.0.0") else host
        address = f"http://{named}:{listening.getsockname()[1]}/#token={token}"
        made = application(root, open_run, token=token, hosts=[*_LOOPBACK, host, socket.gethostname()])
        config = uvicorn.Config(
            made,
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        say(f"{root} is at {address}")
        if host not in _LOOPBACK:
            say("Others in the network can look too if they know the token. What is sent is not encrypted.")
        say("Ctrl-C ends it.")
        if browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # that is how it is ended
            uvicorn.Server(config).run(sockets=[listening])


def application(
    root: str, open_run: Callable[[str], Replay], *, token: str, hosts: Collection[str] = _LOOPBACK
) -> Starlette:
    """The application: a page and its script for all, data for those who have the token."""
    library = Library(root, open_run)

    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def script(_: Request) -> Response:
        return Response(built_viewer(), media_type="text/javascript")

    async def table(request: Request) -> Response:
        rows = await library.rows(request.query_params.get("where"))
        # Of numbers that JSON has not, null.
        runs = as_json([{"key": library.key(row), **row} for row in rows], None)
        rest = {"root": root, "differing": catalog.differing(rows) if rows else []}
        return Response(f'{json.dumps(rest)[:-1]}, "runs": {runs}}}', media_type="application/json")

    async def thumbnail(request: Request) -> Response:
        return JSONResponse(await library.thumbnail(request.path_params["key"]))

    async def payload(request: Request) -> Response:
        return JSONResponse(await (await library.showing(_keys(request))).payload())

    async def version(request: Request) -> Response:
        return PlainTextResponse(await (await library.showing(_keys(request))).version())

    async def array(request: Request) -> Response:
        showing = await library.showing(_keys(request))
        low, high = (_number(request, name) for name in ("from", "to"))
        content = await showing.read(request.path_params["name"], low, high)
        return Response(content, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/viewer.js", script),
            Route("/api/runs", table),
            Route("/api/thumbnails/{key}", thumbnail),
            Route("/api/payload", payload),
            Route("/api/version", version),
            Route("/api/arrays/{name:path}", array),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts, anywhere=_reaches_beyond(hosts))],
        exception_handlers={kind: _told for kind, _ in _STATUS},
    )


def _reaches_beyond(hosts: Collection[str]) -> bool:
    """Whether the server is bound to an address that is not of this machine alone."""
    for host in hosts:
        try:
            if not ip_address(host).is_loopback:
                return True
        except ValueError:
            continue
    return False


def _keys(request: Request) -> list[str]:
    return [key for key in request.query_params.get("runs", "").split(",") if key]


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise ValueError(f"{name}={text[:40]!r} is no number of a frame")
    return int(text)


async def _told(_: Request, error: Any) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return PlainTextResponse(str(error), status)
