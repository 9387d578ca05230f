"""The topics of the store contract as they are put together: none hides a test of another, none is left out."""

from collections import Counter

from detent.testing.store_contract import StoreContract
from detent.testing.store_contract.kit import TOPICS

TOPIC_CLASSES = StoreContract.__bases__


def test_every_topic_is_part_of_the_contract():
    assert {topic.__module__.rpartition(".")[2] for topic in TOPIC_CLASSES} == TOPICS


def test_no_two_topics_have_a_test_of_the_same_name():
    names = Counter(name for topic in TOPIC_CLASSES for name in vars(topic) if name.startswith("test_"))

    assert [name for name, times in names.items() if times > 1] == []
