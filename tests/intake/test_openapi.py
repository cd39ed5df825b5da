"""The OpenAPI document is true: schemathesis makes requests from it, every answer fits it, none is a 5xx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jsonschema_rs
import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from queueing.link import Link
from tests.intake.conftest import BASE, Town, calendar, message, settle

EXAMPLES = 3  # for each of 22 operations and both ways of making requests
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def _lines(context: Any, value: Any) -> bytes:
    """A chunk is text: sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.fixture
def document(link: Link) -> dict[str, Any]:
    made = Town(link).make().document
    assert isinstance(made, dict)
    return made


def test_generated_requests_get_answers_that_fit_the_document(link: Link) -> None:
    async def main() -> None:
        town = Town(link)
        await settle(town.directory)
        async with trio.open_nursery() as nursery:
            await nursery.start(town.make().run)
            await trio.to_thread.run_sync(_try_all, town, trio.from_thread.run)
            nursery.cancel_scope.cancel()

    trio.run(main)


def _try_all(town: Town, run: Callable[..., Any]) -> None:
    assert isinstance(town.app.document, dict)
    schema = schemathesis.openapi.from_dict(town.app.document)
    operations: list[Any] = [found.ok() for found in cast(Any, schema.get_all_operations())]
    assert len(operations) == sum(len(methods) for methods in town.app.document["paths"].values()) > 20
    for operation in operations:
        takes_input = operation.body or operation.path_parameters or operation.query
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_input else [])):
            _try(operation, mode, town, run)


def _try(operation: Any, mode: GenerationMode, town: Town, run: Callable[..., Any]) -> None:
    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def each(case: Any) -> None:
        request = case.as_transport_kwargs(base_url=BASE)
        request.pop("cookies", None)
        request["content"] = request.pop("data", None)
        request["headers"] = {name: str(value) for name, value in request["headers"].items() if value is not None}

        async def send() -> Any:
            async with town.client("all") as client:
                request["headers"]["authorization"] = client.headers["authorization"]
                return await client.request(**request)

        case.validate_response(run(send), checks=CHECKS)

    each()


def test_the_examples_of_these_tests_fit_the_schema(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    for kind, value in (
        ("application/cloudevents+json", message()),
        ("application/cloudevents+json", calendar(location="Aulaen")),
        ("application/cloudevents-batch+json", [message(), calendar()]),
    ):
        validator = jsonschema_rs.validator_for({**body[kind]["schema"], "components": document["components"]})
        assert validator.is_valid(value), [str(error) for error in validator.iter_errors(value)]
        wrong = {**value, "urgency": "urgent"} if isinstance(value, dict) else []
        assert not validator.is_valid(wrong)


def test_every_operation_says_who_may_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            is_open = path in ("/healthz", "/readyz", "/openapi.json")
            assert ("security" in operation) is not is_open
            assert {"405", "500"} <= set(operation["responses"])
            assert ("401" in operation["responses"]) is not is_open


async def test_the_document_is_served(api: Town, document: dict[str, Any]) -> None:
    async with api.client() as client:
        assert (await client.get("/openapi.json")).json()["openapi"] == "3.1.0"
