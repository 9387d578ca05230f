"""The sentences about what was done. A page is told which by a word in its address, so that nobody can make it say others."""

from collections.abc import Mapping

DONE: Mapping[str, str] = {
    "event": "The event was taken.",
    "failure": "A command failed, and the event's error target was taken.",
    "accepted": "The event was accepted; a worker will finish it.",
    "start": "The instance was made.",
    "cancel": "The instance was cancelled.",
    "pause": "The instance is paused.",
    "resume": "The instance goes on.",
    "retry": "What went wrong was taken again; the newest entry of the history says how it ended.",
    "force": "The instance was put into the state.",
    "patch": "The context was changed.",
    "trigger-enable": "The trigger is at work.",
    "trigger-disable": "The trigger is switched off.",
    "trigger-pause": "The trigger is held.",
    "trigger-resume": "The trigger is at work again.",
    "trigger-fire": "The trigger was fired; the newest line of its log leads to the execution.",
    "trigger-known": "This form had fired the trigger before, and nothing new was started.",
    "clock": "The clock was moved.",
}
"""What a page says first, by the word in its address."""
