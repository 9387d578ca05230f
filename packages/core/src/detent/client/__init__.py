"""The workflows of an application from elsewhere: the API of handles over HTTP. Needs the extra `client`."""

from detent.client.client import WorkflowClient
from detent.client.handle import RemoteHandle
from detent.client.pages import InstancePage
from detent.client.problems import AnswerRefused, ServerUnreachable
from detent.client.timing import Timing

__all__ = ["AnswerRefused", "InstancePage", "RemoteHandle", "ServerUnreachable", "Timing", "WorkflowClient"]
