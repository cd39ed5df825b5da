"""The engine's HTTP, as a backend service and as a person's app see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from loadtests.stage.processes import Program, StageFault

Report = dict[str, Any]
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.2
_SECONDS_MAX = 120.0  # importing 4 MB while the store writes


class Api:
    """Calls the intake with the service's key, and the gateway with a person's ticket. Errors are StageFaults."""

    def __init__(self, api_url: str, gateway_url: str, key: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._api = httpx.Client(
            base_url=api_url, headers={"authorization": f"Bearer {key}"}, timeout=_SECONDS_MAX, trust_env=False
        )
        self._gateway = httpx.Client(base_url=gateway_url, timeout=_SECONDS_MAX, trust_env=False)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()
        self._gateway.close()

    def import_lines(self, import_id: str, first_line: int, lines: bytes) -> dict[str, Any]:
        """Hand over a chunk of NDJSON: `{"taken", "refused": [{"line", "reason"}], "next_line"}`."""
        path = f"/v1/directory/imports/{import_id}?first_line={first_line}"
        return self._call("POST", path, lines, "application/x-ndjson")

    def post_event(self, event: dict[str, Any]) -> str:
        """Post one CloudEvent; returns the id that the engine gave it."""
        body = httpx.Request("POST", "/", json=event).content
        return str(self._call("POST", "/v1/events", body, "application/cloudevents+json")["id"])

    def report(self, event: str) -> Report:
        return self._call("GET", f"/v1/events/{event}")

    def inbox(self, person: str, items_max: int) -> list[str]:
        """The event ids in a person's inbox, asked of the gateway with a ticket as the person's app does."""
        ticket = self._call("POST", "/v1/inbox-tickets", httpx.Request("POST", "/", json={"person": person}).content)
        headers = {"authorization": f"Bearer {ticket['ticket']}"}
        found: list[str] = []
        before = ""
        while len(found) < items_max:
            path = "/v1/inbox?limit=50" + (f"&before={quote(before)}" if before else "")
            page = self._answer(self._gateway, self._gateway.build_request("GET", path, headers=headers))
            found += [item["event"] for item in page["items"]]
            before = page.get("next") or ""
            if not before:
                break
        return found

    def _call(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"content-type": kind} if body is not None else {}
        return self._answer(self._api, self._api.build_request(method, path, content=body, headers=headers))

    def _answer(self, client: httpx.Client, request: httpx.Request) -> dict[str, Any]:
        """Every call may be repeated, so an engine whose intake is just being started again is asked again."""
        what = f"{request.method} {request.url.path}"
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                response = client.send(request)
            except httpx.TransportError as error:
                fault = f"the engine gave no answer to {what}: {error or type(error).__name__}"
            else:
                if response.is_success:
                    return dict(response.json())
                fault = f"the engine refused {what} with status {response.status_code}: {response.text[:500]}"
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise StageFault(fault)
            if time.monotonic() > deadline:
                raise StageFault(fault)
            time.sleep(PAUSE_SECONDS)


def wait_until_ready(url: str, engine: Program, check: Callable[[], None], seconds_max: float) -> None:
    """Return when an engine's intake says that it is ready, its store included; `check` raises when a program ended.

    Raises:
        StageFault: it was not ready in time.
    """
    deadline = time.monotonic() + seconds_max
    with httpx.Client(base_url=url, timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            check()
            try:
                if client.get("/readyz").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.05)
    raise StageFault(f"{engine.name} was not ready within {seconds_max:.0f} s; its log: {engine.log}")
