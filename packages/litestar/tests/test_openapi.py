"""What OpenAPI tells of the routes."""

from litestar import Litestar, get
from litestar.di import NamedDependency

from detent.service.http.operations import OPERATIONS
from detent_litestar import AllowAll, Controllers, WorkflowPlugin


def schema_of(config, **options):
    return Litestar(logging_config=None, plugins=[WorkflowPlugin(config)], **options).openapi_schema.to_schema()


def operations(schema):
    return {operation["operationId"]: operation for path in schema["paths"].values() for operation in path.values()}


def test_every_operation_has_an_id_of_its_own_and_words(configured):
    found = operations(schema_of(configured()))
    assert set(found) == {f"workflows_{name}" for name in OPERATIONS}
    assert all(operation["summary"] and operation["description"] for operation in found.values())
    assert all(operation["tags"] == ["workflows"] for operation in found.values())


def test_errors_are_described_as_problems(configured):
    found = operations(schema_of(configured()))
    responses = found["workflows_trigger_event"]["responses"]
    assert set(responses) == {"200", "202", "400", "404", "409", "413", "415", "422", "503"}
    for status in set(responses) - {"200", "202"}:
        content = responses[status]["content"]
        assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}


def test_what_comes_in_and_what_goes_out_are_the_models_of_the_service(configured):
    found = operations(schema_of(configured()))
    create = found["workflows_create_instance"]
    assert create["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NewInstance")
    for status in ("200", "201"):
        assert create["responses"][status]["content"]["application/json"]["schema"]["$ref"].endswith("/InstanceView")
    assert [parameter["name"] for parameter in create["parameters"]] == ["Idempotency-Key"]
    trigger = found["workflows_trigger_event"]
    assert trigger["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/TriggeredEvent")
    names = [parameter["name"] for parameter in trigger["parameters"]]
    assert sorted(names) == ["Idempotency-Key", "If-Match", "event", "instance_id"]


def test_headers_are_described_with_words(configured):
    found = operations(schema_of(configured()))
    asked = [one for operation in found.values() for one in operation.get("parameters", ()) if one["in"] == "header"]
    assert {header["name"] for header in asked} == {"Idempotency-Key", "If-Match", "Last-Event-ID"}
    assert all(header["description"] and not header["required"] for header in asked)
    told = {
        name: set(found[f"workflows_{name}"]["responses"][status].get("headers", ()))
        for name, status in [("create_instance", "201"), ("get_instance", "200"), ("trigger_event", "200")]
    }
    assert told == {
        "create_instance": {"Location", "ETag"},
        "get_instance": {"ETag"},
        "trigger_event": {"ETag", "Idempotency-Replayed"},
    }
    etag = found["workflows_get_instance"]["responses"]["200"]["headers"]["ETag"]
    assert etag["description"]
    assert etag["schema"] == {"type": "string"}


def test_a_tenant_may_be_missing_so_the_routes_say_that_they_turn_people_away(configured):
    bound = Controllers(policy=AllowAll(), tenant=lambda request: request.headers.get("x-tenant"))
    found = operations(schema_of(configured(controllers=bound)))
    assert all({"401", "403"} <= set(operation["responses"]) for operation in found.values())


def test_guarded_routes_say_that_they_turn_people_away(configured, guarded):
    found = operations(schema_of(configured(controllers=guarded(lambda connection, handler: None))))
    assert all({"401", "403"} <= set(operation["responses"]) for operation in found.values())


def test_routes_can_be_left_out(configured):
    hidden = Controllers(policy=AllowAll(), include_in_schema=False)
    assert schema_of(configured(controllers=hidden)).get("paths", {}) == {}


def test_prefix_and_tags_are_the_applications_choice(configured):
    chosen = Controllers(policy=AllowAll(), operation_id_prefix="shop", tags=["orders", "internal"])
    found = operations(schema_of(configured(controllers=chosen)))
    assert "shop_create_instance" in found
    assert sorted(found["shop_create_instance"]["tags"]) == ["internal", "orders"]


async def test_dependencies_of_the_application_may_be_called_as_ours(serve, configured):
    async def two() -> int:
        return 2

    async def three() -> int:
        return 3

    @get("/five")
    async def handler(service: NamedDependency[int], acting: NamedDependency[int]) -> int:
        return service + acting

    async with serve(configured(), dependencies={"service": two, "acting": three}, route_handlers=[handler]) as client:
        assert (await client.get("/five")).json() == 5
        assert (await client.get("/workflows/definitions")).status_code == 200
