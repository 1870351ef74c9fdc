"""Who may ask the server what: a wall around the application."""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data: blob:; media-src blob:; worker-src blob:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A name or address, that of IPv6 in brackets, and a port.
_HOST = re.compile(r"(?:\[(?P<number>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::\d{1,5})?", re.ASCII)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Data of another training may stand under the same address tomorrow.
    "Cache-Control": "no-store",
}


class Guard:
    """Lets through GET and HEAD to a known host, and to data only with the token.

    The host's name is checked because a page of a stranger could give its own name the address of this machine, and
    then read as if it were of the same origin. With `anywhere`, any address as a number is known too.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str], anywhere: bool = False) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._hosts = {host.lower() for host in hosts}
        self._anywhere = anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":  # it starts and ends; sockets have no routes
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not self._known(headers.getlist("host")):
            return PlainTextResponse("This server is not known under that name: see --host.", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("There is nothing here but to GET.", 405, {"Allow": "GET, HEAD"})
        given = headers.get("authorization", "").encode("latin-1")
        if scope["path"].startswith("/api/") and not hmac.compare_digest(given, self._expected):
            return PlainTextResponse("Open the address that the server printed: its token is missing.", 401)
        return None

    def _known(self, hosts: list[str]) -> bool:
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return False
        name = (found["name"] or found["number"]).lower()
        if name in self._hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return self._anywhere
