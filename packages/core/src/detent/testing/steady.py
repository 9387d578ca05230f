"""Back-offs without chance, so that what is tried again is tried at an instant that a test can name."""

from dataclasses import replace

from detent.flows.flow import Flow, Step
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


def steady_flow(flow: Flow, *, max_steps: int | None = None) -> Flow:
    """The flow with retries without jitter, and at most `max_steps` steps where that is less than its own limit."""
    steps = {id_: _steady_step(step) for id_, step in flow.steps.items()}
    bounded = flow.max_steps if max_steps is None else min(flow.max_steps, max_steps)
    return flow.model_copy(update={"steps": steps, "max_steps": bounded})


def _steady_step(step: Step) -> Step:
    retry = step.retry
    return step if retry is None else step.model_copy(update={"retry": retry.model_copy(update={"jitter": 0.0})})
