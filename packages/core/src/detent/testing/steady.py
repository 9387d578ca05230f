"""Back-offs without chance, so that what is tried again is tried at an instant that a test can name."""

from dataclasses import replace

from detent.retry import Retry
from detent.runtime.parts import Settings
from detent.runtime.subscribers import Subscriber


def steady(retry: Retry) -> Retry:
    """The policy without its jitter."""
    return replace(retry, jitter=0.0)


def steady_settings() -> Settings:
    """The settings of a runtime that says nothing, without jitter."""
    usual = Settings()
    return replace(
        usual,
        timeout_retry=steady(usual.timeout_retry),
        run_retry=steady(usual.run_retry),
        inbox_retry=steady(usual.inbox_retry),
        outbox_retry=steady(usual.outbox_retry),
    )


def steady_subscriber(subscriber: Subscriber) -> Subscriber:
    """The subscriber with its own policy, if it has one, without jitter."""
    return subscriber if subscriber.retry is None else replace(subscriber, retry=steady(subscriber.retry))
