"""Who may use what is mounted has to be said, in a way that nobody can misread."""

import pytest

from detent_litestar import AllowAll
from tests.contract.doors import Door


async def test_nothing_is_mounted_without_a_policy(door: Door):
    for kind in door.mounts_with_a_policy:
        with pytest.raises(Exception, match=r"need a policy.*AllowAll"):
            kind()
        assert kind(policy=AllowAll()).closed is False


@pytest.mark.parametrize("policy", [AllowAll, True, lambda *asked: False], ids=["the class", "true", "a function"])
async def test_a_policy_that_would_never_be_asked_opens_nothing(door: Door, policy: object):
    for kind in door.mounts_with_a_policy:
        with pytest.raises(Exception, match=r"is AllowAll\(\) or nothing; what decides is guards=\["):
            kind(policy=policy)


async def test_a_guard_alone_is_told_that_guards_are_a_list(door: Door):
    for kind in door.mounts_with_a_policy:
        with pytest.raises(Exception, match=rf"are a list: {kind.__name__}\(guards=\[\.\.\.\]\)"):
            kind(guards=lambda connection: None)
