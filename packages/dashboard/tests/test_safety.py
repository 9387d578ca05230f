"""What a stranger cannot do: run script in a page, send its forms, see another tenant's, or do more than the policy lets pass."""

import asyncio
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from detent import MemoryStore, WorkflowDefinition, WorkflowInstance, WorkflowRuntime
from detent.errors import InvalidValue
from detent_dashboard import AllowAll, dashboard
from detent_dashboard.forgery import COOKIE
from detent_dashboard.headers import PICTURE_POLICY, POLICY
from packages.dashboard.tests.conftest import ORDER, Dashboard, Open, words

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "--><script>alert(1)</script>",
]
ALLOWED_SCRIPTS = {"/static/dashboard.js", "/static/mermaid.js", "/static/diagram.js"}


class Suspicious(HTMLParser):
    """What no page of ours has: script or style in line, handlers, elements of an attacker, addresses that run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "script" and str(said.get("src")).partition("?")[0] not in ALLOWED_SCRIPTS:
            self.found.append(f"script {said}")
        if tag in ("img", "svg", "style", "object", "embed", "base"):
            self.found.append(tag)
        for name, value in attrs:
            if (
                name.startswith("on")
                or name == "style"
                or ((value or "").lower().startswith("javascript:") and name != "value")
            ):
                self.found.append(f"{tag} {name}={value}")


def suspicious(page: httpx.Response) -> list[str]:
    parser = Suspicious()
    parser.feed(page.text)
    return parser.found


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_from_the_database_becomes_markup(open_dashboard: Open, attack: str, tmp_path):
    script = tmp_path / "mermaid.js"
    script.write_text("")
    evil: dict[str, Any] = {
        "name": attack,
        "description": attack,
        "initial_state": attack,
        "states": {
            attack: {
                "description": attack,
                "events": {
                    attack: {
                        "target": attack + " end",
                        "description": attack,
                        "metadata": {"label": attack},
                        "payload": {
                            "type": "object",
                            "properties": {
                                attack: {"title": attack, "description": attack, "default": attack, "enum": [attack]}
                            },
                        },
                    },
                    "refuse": {"target": attack + " end", "guard": "in_stock"},
                },
            },
            attack + " end": {},
        },
    }
    async with open_dashboard(evil, mermaid=script, title=attack) as browser:
        made = await browser.runtime.create_instance(
            attack,
            context={attack: attack},
            metadata={attack: attack},
            trigger_metadata={attack: attack},
            tenant=attack,
        )
        await browser.runtime.note(made, attack, {attack: attack}, reason=attack)
        await browser.runtime.pause(made, reason=attack)
        await browser.runtime.resume(made, reason=attack)
        pages = [
            await browser.get("/"),
            await browser.get("/instances"),
            await browser.get(
                "/instances", params=dict.fromkeys(("id", "workflow", "state", "metadata", "order"), attack)
            ),
            await browser.get("/instances", params={"done": attack, "cursor": attack}),
            await browser.look_at(made),
            await browser.get(f"/instances/{made.id}/diagram"),
            await browser.get("/parked", params={"workflow": attack}),
            await browser.get("/definitions"),
            await browser.get("/work", params={"queue": attack, "status": attack}),
            await browser.get("/upgrade", params={"workflow": attack, "state_mapping": attack}),
            await browser.get("/definition", params={"workflow": attack}),
            await browser.get("/definition/diagram", params={"workflow": attack}),
        ]
        await browser.look_at(made)
        pages.append(
            await browser.send("/event", chosen={"event": attack}, follow=False, **{"field_" + attack: attack})
        )
        await browser.look_at(made)
        pages.append(await browser.send("/patch", reason=attack, confirmed="yes", patch=attack, remove=attack))
        for page in pages:
            assert suspicious(page) == [], page.url


async def test_every_answer_has_the_policy_that_lets_only_our_own_files_run(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    for method, path in [
        ("GET", "/"),
        ("GET", "/instances"),
        ("GET", f"/instances/{made.id}"),
        ("GET", "/instances/7"),
        ("GET", "/parked"),
        ("GET", "/definitions"),
        ("GET", "/static/dashboard.css"),
        ("GET", "/static/none"),
        ("GET", "/nowhere"),
        ("POST", "/parked"),
        ("POST", "/"),
        ("PUT", "/parked"),
    ]:
        answer = await browser.http.request(method, path)
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    picture = await browser.get(f"/instances/{made.id}/diagram")
    assert picture.headers["content-security-policy"] == PICTURE_POLICY
    assert "sandbox allow-scripts" in PICTURE_POLICY
    assert "allow-same-origin" not in PICTURE_POLICY


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://ops.test.evil.test"},
    ],
)
async def test_a_form_from_elsewhere_is_refused_even_with_the_token(browser: Dashboard, headers: dict[str, str]):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    browser.http.headers.update(headers)
    assert (await browser.operate("pause")).status_code == 403
    assert (await browser.runtime.get_instance(made)).version == made.version


async def test_a_form_of_our_own_page_is_taken_by_what_browsers_say(browser: Dashboard):
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": "http://ops.test"}):
        made = await browser.runtime.create_instance("order")
        await browser.look_at(made)
        browser.http.headers.update(headers)
        assert (await browser.operate("pause")).status_code == 200


async def test_a_form_without_its_token_or_with_another_is_refused(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    page = await browser.look_at(made)
    token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    sent = {"reason": "r", "confirmed": "yes", "expected_version": "1"}
    path = f"/instances/{made.id}/pause"
    for wrong in ({}, {"csrf_token": ""}, {"csrf_token": "0" * 64}, {"csrf_token": token[:-1]}, {"csrf_token": "é"}):
        assert (await browser.http.post(path, data={**sent, **wrong})).status_code == 403
    browser.http.cookies.clear()
    assert (await browser.http.post(path, data={**sent, "csrf_token": token})).status_code == 403
    browser.http.cookies.set(COOKIE, "mine")
    assert (await browser.http.post(path, data={**sent, "csrf_token": token})).status_code == 403
    assert (await browser.http.post(path, data={**sent, "csrf_token": "mine"})).status_code == 403
    assert (await browser.runtime.get_instance(made)).version == 1


async def test_only_forms_of_a_sane_size_are_taken_and_nothing_changes_by_a_get(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    path = f"/instances/{made.id}/pause"
    assert (await browser.http.post(path, json={})).status_code == 415
    assert (await browser.http.post(path, data={"reason": "x" * 1_100_000})).status_code == 413
    assert (await browser.http.post(path, data={f"f{n}": "" for n in range(2100)})).status_code == 400
    assert (await browser.http.get(path)).status_code == 405
    assert (await browser.runtime.get_instance(made)).version == 1


async def test_the_cookie_is_for_our_pages_alone(browser: Dashboard):
    cookie = (await browser.get("/")).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert "set-cookie" not in (await browser.get("/")).headers


async def test_processes_with_one_secret_take_each_others_forms():
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=[WorkflowDefinition.from_dict(ORDER | {"states": {"new": {}}})]
    )
    async with runtime:
        made = await runtime.create_instance("order")
        answers = []
        for secrets in (("one", "one"), ("one", "two"), (None, None)):
            first, second = (dashboard(runtime, policy=AllowAll(), secret=secret) for secret in secrets)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(first), base_url="http://t") as http:
                page = await http.get(f"/instances/{made.id}")
                token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
                cookies = dict(http.cookies)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(second), base_url="http://t", cookies=cookies
            ) as http:
                answers.append((await http.post(f"/instances/{made.id}/patch", data={"csrf_token": token})).status_code)
    assert answers == [400, 403, 403]


# -- who may do what

RIGHTS: dict[str, set[str]] = {
    "anonymous": set(),
    "reader": {"read"},
    "clerk": {"read", "start", "event"},
    "operator": {"read", "start", "event", "operate"},
}


def authorize(request: Request, action: str, instance: WorkflowInstance | None) -> bool:
    return action in RIGHTS[request.headers.get("x-role", "anonymous")]


def tenant_of(request: Request) -> str | None:
    return request.headers.get("x-tenant")


@pytest.mark.parametrize("role", RIGHTS)
@pytest.mark.parametrize("tenant", ["acme", "other"])
async def test_every_route_lets_pass_only_those_who_may(open_dashboard: Open, role: str, tenant: str):
    async with open_dashboard(policy=authorize, tenant=tenant_of) as browser:
        made = await browser.runtime.create_instance("order", tenant="acme")
        browser.http.headers.update({"x-role": "operator", "x-tenant": "acme"})
        page = await browser.look_at(made)
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        browser.http.headers.update({"x-role": role, "x-tenant": tenant})
        rights, at = RIGHTS[role], f"/instances/{made.id}"
        here = tenant == "acme"
        pages = (
            "/",
            "/instances",
            "/parked",
            "/work",
            "/definitions",
            "/definition?workflow=order",
            "/upgrade?workflow=order",
        )
        for path in pages:
            assert (await browser.get(path)).status_code == (200 if "read" in rights else 403), path
        for path in (at, f"{at}/diagram", f"{at}/live?since=0"):
            assert (await browser.get(path)).status_code == (200 if here and "read" in rights else 404), path
        common = {"csrf_token": token, "reason": "r", "confirmed": "yes", "expected_version": "0"}
        seen = 404 if not here or "read" not in rights else 403
        changes: list[tuple[str, str, int]] = [
            (f"{at}/event", "event", 409),
            *((f"{at}/{verb}", "operate", 409) for verb in ("pause", "resume", "cancel")),
            (f"{at}/patch", "operate", 409),
        ]
        for path, action, taken in changes:
            status = (await browser.http.post(path, data={**common, "event": "charge"})).status_code
            assert status == (taken if here and action in rights else seen), path
        started = await browser.http.post("/definition?workflow=order", data={**common, "context": "["})
        assert started.status_code == (400 if "start" in rights else 403)
        retried = await browser.http.post("/parked", data={**common, "instance": str(made.id)})
        assert retried.status_code == (403 if not here or "operate" not in rights else 409)
        assert (await browser.runtime.get_instance(made)).version == made.version


async def test_another_tenants_instances_are_counted_and_found_nowhere(open_dashboard: Open):
    async with open_dashboard(policy=authorize, tenant=tenant_of) as browser:
        made = await browser.runtime.create_instance("order", tenant="acme")
        browser.http.headers.update({"x-role": "operator", "x-tenant": "other"})
        assert "Made in 24 h 0" in words(await browser.get("/"))
        assert str(made.id) not in (await browser.get("/instances")).text
        await browser.get("/definition", params={"workflow": "order"})
        await browser.send("/definition?workflow=order")
        [own] = await browser.runtime.find_instances(tenant="other")
        assert own.tenant == "other"


async def test_a_request_of_no_tenant_is_refused(open_dashboard: Open):
    async with open_dashboard(tenant=tenant_of) as browser:
        assert (await browser.get("/")).status_code == 403


async def test_the_hook_sees_the_instance_and_buttons_are_only_for_those_who_may(open_dashboard: Open):
    asked: list[tuple[str, object]] = []

    async def note(request: Request, action: str, instance: WorkflowInstance | None) -> bool:
        await asyncio.sleep(0)
        asked.append((action, instance and instance.id))
        return action == "read"

    async with open_dashboard(policy=note) as browser:
        made = await browser.runtime.create_instance("order")
        page = await browser.look_at(made)
        assert ("read", made.id) in asked
        assert ("operate", made.id) in asked
        assert "<button" not in page.text
        assert "Take payment" in page.text


@pytest.mark.parametrize("decision", [None, 1, "yes"])
async def test_only_true_lets_a_request_pass(open_dashboard: Open, decision: Any):
    async with open_dashboard(policy=lambda *_: decision) as browser:
        assert (await browser.get("/")).status_code == 403


async def test_a_policy_may_answer_by_itself(open_dashboard: Open):
    def login(*_: Any) -> Response:
        return RedirectResponse("/login", 303)

    async with open_dashboard(policy=login) as browser:
        answer = await browser.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_a_bulk_retry_asks_for_each_instance(open_dashboard: Open):
    kept: list[object] = []

    def policy(request: Request, action: str, instance: WorkflowInstance | None) -> bool:
        return instance is None or action == "read" or instance.id not in kept

    async with open_dashboard(policy=policy) as browser:
        made = [await browser.runtime.create_instance("order", context={"stock": 0}) for _ in range(2)]
        browser.clock.advance("15m")
        await browser.runtime.process_timeouts()
        for one in made:
            await browser.runtime.patch_context(one.id, {"stock": 1})
        kept.append(made[0].id)
        await browser.get("/parked")
        page = await browser.send("/parked", instance=[str(one.id) for one in made], reason="r", confirmed="yes")
        assert page.status_code == 409
        assert "you may not do this with it" in words(page)
        assert [(await browser.runtime.get_instance(one)).parked_at is None for one in made] == [False, True]


async def test_without_a_policy_there_is_no_dashboard():
    runtime = WorkflowRuntime(store=MemoryStore())
    with pytest.raises(TypeError, match="policy"):
        dashboard(runtime)  # type: ignore[call-arg]
    for nothing in (None, True, AllowAll):
        with pytest.raises(InvalidValue, match="policy"):
            dashboard(runtime, policy=nothing)  # type: ignore[arg-type]


async def test_everybodys_dashboard_is_warned_of(caplog: pytest.LogCaptureFixture):
    dashboard(WorkflowRuntime(store=MemoryStore()), policy=AllowAll())
    assert "open to everybody" in caplog.text


async def test_a_script_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="mermaid"):
        dashboard(WorkflowRuntime(store=MemoryStore()), policy=AllowAll(), mermaid=tmp_path / "none.js")


async def test_a_runtime_that_does_not_run_is_a_503():
    app = dashboard(WorkflowRuntime(store=MemoryStore()), policy=AllowAll())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        assert (await http.get("/")).status_code == 503


async def test_odd_values_are_refused_and_never_a_fault_of_the_server(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    at = f"/instances/{made.id}"
    odd = ["\0", "9" * 5000, "0", "-1", "\u0661", "\ufffd", "a" * 5000, "[" * 2000, "%", "1e999"]
    asked = [
        *((at, name) for name in ("before", "done")),
        *(
            ("/instances", name)
            for name in ("id", "workflow", "state", "status", "metadata", "context", "cursor", "order")
        ),
        *(("/parked", name) for name in ("workflow", "cursor")),
        *(("/work", name) for name in ("queue", "status", "after")),
        *(("/definition", name) for name in ("workflow", "version")),
        *(("/upgrade?workflow=order", name) for name in ("from_version", "to_version", "state_mapping", "cursor")),
    ]
    for path, name in asked:
        for value in odd:
            given = (
                {"workflow": "order", name: value}
                if path in ("/definition", "/upgrade?workflow=order")
                else {name: value}
            )
            status = (await browser.get(path.partition("?")[0], params=given)).status_code
            assert status in (200, 400, 404, 409), (path, name, value)
    for value in odd:
        for verb in ("pause", "force", "patch"):
            await browser.look_at(made)
            page = await browser.send(
                f"/{verb}", reason="r", confirmed="yes", expected_version=value, state=value, patch=value
            )
            assert page.status_code in (400, 409), (verb, value)
    assert (await browser.runtime.get_instance(made)).version == 1
