"""The definition itself."""

from detent import validate
from examples.orders.workflow import order


def test_the_definition_has_no_problems():
    assert validate(order, commands={"send_order_to_warehouse", "notify_customer"}, guards=set()) == []
