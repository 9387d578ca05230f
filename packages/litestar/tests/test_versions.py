"""A client may say which version of an instance it has seen; at any other one nothing happens."""

import pytest


@pytest.fixture
def shop(serve, configured, store):
    """The application on each store, to be entered by the test."""
    return serve(configured(store=store))


async def test_answers_tell_the_version_as_an_etag(shop):
    async with shop as client:
        created = await client.post("/workflows/instances", json={"workflow": "order"})
        path = created.headers["location"]
        found = await client.get(path)
        tried = await client.post(f"{path}/events/try", json={})
        after = await client.get(path)
    assert created.headers["etag"] == found.headers["etag"] == '"1"'
    assert tried.headers["etag"] == after.headers["etag"] == '"2"'
    assert after.json()["version"] == 2


@pytest.mark.parametrize("said", ['"1"', "1", 'W/"1"', "*", ' "1" '])
async def test_an_event_at_the_expected_version_is_taken(shop, new_order, said):
    async with shop as client:
        path = await new_order(client)
        answer = await client.post(f"{path}/events/try", json={}, headers={"If-Match": said})
    assert answer.status_code == 200, answer.text


async def test_the_etag_of_one_answer_is_the_condition_of_the_next_request(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        for _ in range(3):
            seen = (await client.get(path)).headers["etag"]
            answer = await client.post(f"{path}/events/try", json={}, headers={"If-Match": seen})
            assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"If-Match": '"5"'}, {}),
        ({"If-Match": "5"}, {}),
        ({}, {"expected_version": 5}),
        ({"If-Match": "*"}, {"expected_version": 5}),
        ({"If-Match": '"5"'}, {"expected_version": 5}),
    ],
)
async def test_at_another_version_nothing_happens(shop, new_order, headers, body):
    async with shop as client:
        path = await new_order(client)
        answer = await client.post(f"{path}/events/try", json=body, headers=headers)
        found = await client.get(path)
    assert answer.status_code == 409
    assert answer.json()["code"] == "version_conflict"
    assert (answer.json()["expected"], answer.json()["found"]) == (5, 1)
    assert answer.json()["instance_id"] == found.json()["id"]
    assert found.json()["version"] == 1


@pytest.mark.parametrize(
    "said",
    [
        "",
        " ",
        "0",
        '"0"',
        "-1",
        '"05"',
        "1.0",
        '"1',
        "1'",
        '"one"',
        '"1", "2"',
        "1,2",
        '""',
        "W/1",
        "**",
        "9" * 5000,
        "\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
async def test_a_condition_that_names_no_version_is_400(shop, new_order, said):
    async with shop as client:
        path = await new_order(client)
        answer = await client.post(f"{path}/events/try", json={}, headers={"If-Match": said.encode()})
    assert answer.status_code == 400, answer.text
    assert (answer.json()["code"], answer.json()["path"]) == ("invalid_value", "If-Match")


async def test_header_and_body_must_not_contradict_each_other(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        answer = await client.post(f"{path}/events/try", json={"expected_version": 1}, headers={"If-Match": '"2"'})
    assert (answer.status_code, answer.json()["path"]) == (400, "If-Match")


@pytest.mark.parametrize("version", [0, -1, True, 1.5, 1.0, "1", [1]])
async def test_an_expected_version_that_is_no_whole_number_from_1_is_400(shop, new_order, version):
    async with shop as client:
        path = await new_order(client)
        answer = await client.post(f"{path}/events/try", json={"expected_version": version})
    assert answer.status_code == 400, answer.text
    assert answer.json()["problems"][0]["path"] == "expected_version"


async def test_a_version_far_beyond_any_is_only_another_one(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        answers = [
            await client.post(f"{path}/events/try", json={"expected_version": 10**300}),
            await client.post(f"{path}/events/try", json={}, headers={"If-Match": '"9999999999"'}),
        ]
    assert [answer.json()["code"] for answer in answers] == ["version_conflict"] * 2


async def test_a_repeated_request_gets_its_answer_although_the_version_has_moved_on(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        headers = {"If-Match": '"1"', "Idempotency-Key": "k"}
        first = await client.post(f"{path}/events/try", json={}, headers=headers)
        again = await client.post(f"{path}/events/try", json={}, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotency-replayed"] == "true"
