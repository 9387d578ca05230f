"""An entry of the timeline shows what it changed in the context, where that is recorded."""

from packages.dashboard.tests.conftest import Dashboard, Open, words

ATTACK = "<script>alert(1)</script>"


async def test_each_change_has_its_path_and_what_was_there_before_and_after(open_dashboard: Open):
    async with open_dashboard(record_changes=True) as browser:
        made = await browser.runtime.create_instance("order", context={"order": {"total": 5}, "old": None})
        await browser.runtime.patch_context(made.id, {"order": {"total": 7}, "new": "x" * 500}, remove=["old"])
        text = words(await browser.look_at(made))
    assert text.count("of the context") == 1
    assert "3 changes of the context" in text
    assert "/order/total before 5 → after 7" in text
    assert "/old removed null" in text
    assert f"/new added &#34;{'x' * 159}… " in text


async def test_what_was_too_large_is_named_without_its_values(open_dashboard: Open):
    async with open_dashboard(record_changes=True) as browser:
        made = await browser.runtime.create_instance("order", context={"text": "x" * 20_000})
        await browser.runtime.patch_context(made.id, {"text": "y"})
        assert "1 change of the context /text replaced, too large to be kept here" in words(await browser.look_at(made))
        await browser.runtime.patch_context(made.id, {f"{'key' * 20} {number}": 1 for number in range(500)})
        assert "1 change of the context all of it replaced, too large" in words(await browser.look_at(made))


async def test_paths_and_values_never_become_markup(open_dashboard: Open):
    async with open_dashboard(record_changes=True) as browser:
        made = await browser.runtime.create_instance("order")
        await browser.runtime.patch_context(made.id, {ATTACK: [ATTACK]})
        page = await browser.look_at(made)
    assert ATTACK not in page.text
    assert "/&lt;script&gt;alert(1)&lt;~1script&gt;" in page.text


async def test_where_it_is_not_recorded_nothing_is_shown(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.runtime.patch_context(made.id, {"total": 7})
    assert "of the context" not in words(await browser.look_at(made))
