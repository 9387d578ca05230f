"""The workflows of an application from elsewhere: the API of handles over HTTP. Needs the extra `client`."""

from detent.client.client import WorkflowClient
from detent.client.handle import RemoteHandle
from detent.client.problems import AnswerRefused, ServerUnreachable

__all__ = ["AnswerRefused", "RemoteHandle", "ServerUnreachable", "WorkflowClient"]
