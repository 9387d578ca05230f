"""A step that sends a mail."""

import asyncio
import hashlib
import re
import smtplib
import ssl
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator

from detent.errors import InvalidValue
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import TIMEOUT, Failure, Result, failure, success
from detent.json_values import JsonObject
from detent_handlers.call_config import CallInput, CallTime
from detent_handlers.call_failures import excerpt
from detent_handlers.call_key import call_key
from detent_handlers.config import HandlerConfig
from detent_handlers.mail_line import MailLine

Tls: TypeAlias = Literal["starttls", "tls"]

_PORTS: dict[Tls | None, int] = {"starttls": 587, "tls": 465, None: 25}
_MAILBOX = re.compile(r"(?P<name>[^<>\x00-\x1f\x7f]*)<(?P<address>[^<>\s]+)>|(?P<alone>[^<>\s]+)")
_ADDRESS = re.compile(r"[^@\s,;:<>()\[\]\"\\]+@[^@\s,;:<>()\[\]\"\\]+")
_CONTENT_TYPE = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _listed(written: object) -> object:
    return [written] if isinstance(written, str) else written


Mailboxes = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""`ann@example.com` or `Ann <ann@example.com>`; one, or a list."""


class Attachment(HandlerConfig):
    """A file that goes with a mail."""

    name: str
    content_type: str = "application/octet-stream"
    base64: str
    """The content."""


class EmailInput(CallInput):
    """What of a mail may come with the step's input; it wins over the config."""

    to: Mailboxes | None = None
    cc: Mailboxes | None = None
    bcc: Mailboxes | None = None
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] | None = None


class EmailConfig(HandlerConfig):
    """The mail, as far as the input does not say."""

    to: Mailboxes = ()
    cc: Mailboxes = ()
    bcc: Mailboxes = ()
    """Who gets it without the others knowing."""
    subject: str = ""
    text: str | None = None
    html: str | None = None
    """The same as `text` for those who see it, or instead of it."""
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    timeout: CallTime = timedelta(seconds=30)
    """For all of it."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that can be sent."""

    message: EmailMessage
    recipients: tuple[str, ...]
    """All addresses that get it, those of `bcc` among them."""


@handler("email", name="E-mail", category="external", targets=False)
class EmailHandler:
    """Sends a mail over SMTP; its output is `{message_id, accepted, refused}`.

    `to`, `cc`, `bcc`, `subject`, `text`, `html`, `reply_to` and `attachments` stand in the config, and what comes with the
    input wins. The `Message-ID` is the same on every attempt. `refused` names the recipients that the server did not take,
    where it took others: that is a success, because a repeated attempt would write to the others again. Failures are
    `EMAIL_DEFERRED` (the server's 4xx), `EMAIL_UNREACHABLE` and `TIMEOUT`, after which another attempt may help, and
    `EMAIL_REFUSED` (5xx) and `INVALID_EMAIL`.

    `tls` is `"starttls"` (port 587), `"tls"` (465) or `None` (25), which sends in clear text; `context` brings other certificates
    than the usual ones. `sender` is the mailbox that all mails are from. Raises `InvalidValue`.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        sender: str,
        username: str | None = None,
        password: str | None = None,
        tls: Tls | None = "starttls",
        context: ssl.SSLContext | None = None,
        local_hostname: str | None = None,
    ) -> None:
        self._host = host
        self._port = _PORTS[tls] if port is None else port
        self._sender = _address(sender, "sender")
        if not f"{username or ''}{password or ''}".isascii():
            raise InvalidValue("password", "or username hold characters outside ASCII, which SMTP cannot take")
        self._login = None if username is None else (username, password or "")
        self._tls = tls
        self._context = context
        self._local_hostname = local_hostname

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._server}>"

    async def __call__(self, ctx: HandlerContext, config: EmailConfig, input: EmailInput) -> Result:
        try:
            mail = self._mail(ctx, _merged(config, input))
        except InvalidValue as error:
            return failure("INVALID_EMAIL", str(error), retryable=False)
        line = MailLine()
        try:
            async with asyncio.timeout(config.timeout.total_seconds()):
                refused = await asyncio.to_thread(self._send, line, mail, config.timeout)
        except (OSError, smtplib.SMTPException) as error:
            return self._failed(error, config.timeout)
        finally:
            line.cut()
        return success(
            {
                "message_id": mail.message["Message-ID"],
                "accepted": [address for address in mail.recipients if address not in refused],
                "refused": self._told(refused),
            }
        )

    @property
    def _server(self) -> str:
        return f"{self._host}:{self._port}"

    def _mail(self, ctx: HandlerContext, said: EmailConfig) -> Mail:
        """Raises `InvalidValue`."""
        message = EmailMessage(policy=SMTP)
        to, cc, bcc = (_addresses(getattr(said, name), name) for name in ("to", "cc", "bcc"))
        if not (to or cc or bcc):
            raise InvalidValue("to", "names nobody")
        message["From"] = self._sender
        for name, mailboxes in (("To", to), ("Cc", cc)):
            if mailboxes:
                message[name] = mailboxes
        if _CONTROL.search(said.subject):
            raise InvalidValue("subject", "holds a line break or another control character")
        message["Subject"] = said.subject
        if said.reply_to is not None:
            message["Reply-To"] = _address(said.reply_to, "reply_to")
        message["Date"] = ctx.now
        message["Message-ID"] = _message_id(call_key(ctx), self._sender.domain)
        _fill(message, said)
        return Mail(message, tuple(dict.fromkeys(one.addr_spec for one in (*to, *cc, *bcc))))

    def _send(self, line: MailLine, mail: Mail, timeout: timedelta) -> dict[str, tuple[int, bytes]]:
        """Those that were refused while others were not."""
        context = None if self._tls is None else self._trusted()
        server = line.connect(
            self._host,
            self._port,
            self._local_hostname,
            timeout=timeout.total_seconds(),
            tls=context if self._tls == "tls" else None,
        )
        try:
            if self._tls == "starttls":
                server.starttls(context=context)
                line.require_whole()
            if self._login is not None:
                server.login(*self._login)
            refused = server.send_message(mail.message, self._sender.addr_spec, mail.recipients)
            # It was accepted: how the server says goodbye changes nothing.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()
        return refused

    def _trusted(self) -> ssl.SSLContext:
        # What smtplib makes by itself checks no certificate.
        return self._context or ssl.create_default_context()

    def _failed(self, error: OSError | smtplib.SMTPException, timeout: timedelta) -> Failure:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return failure(TIMEOUT, f"{self._server} took longer than {timeout.total_seconds():g} s")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            refused = self._told(error.recipients)
            # One who may be reached later is worth another attempt: nobody has got the mail yet.
            status = min(one["status"] for one in refused.values())
            return _answered(self._server, status, {"status": status, "refused": refused})
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
            return _answered(self._server, error.smtp_code, self._said(error.smtp_code, error.smtp_error))
        if isinstance(error, smtplib.SMTPNotSupportedError):
            said = f"{self._server} lacks what is needed: {excerpt(str(error))}"
            return failure("EMAIL_REFUSED", said, retryable=False)
        return failure("EMAIL_UNREACHABLE", f"{self._server} cannot be reached: {type(error).__name__}")

    def _told(self, refused: Mapping[str, tuple[int, bytes]]) -> JsonObject:
        return {address: self._said(status, text) for address, (status, text) in refused.items()}

    def _said(self, status: int, text: bytes | str) -> JsonObject:
        return {"status": status, "text": excerpt(text, self._login or ())}


def _merged(config: EmailConfig, given: EmailInput) -> EmailConfig:
    chosen = {name: getattr(given, name) for name in EmailInput.model_fields}
    return config.model_copy(update={name: value for name, value in chosen.items() if value is not None})


def _answered(server: str, status: int, details: JsonObject) -> Failure:
    said = f"{server} answered {status}"
    if 400 <= status < 500:
        return failure("EMAIL_DEFERRED", said, details)
    return failure("EMAIL_REFUSED", said, details, retryable=False)


def _addresses(written: Sequence[str], path: str) -> tuple[Address, ...]:
    return tuple(_address(one, f"{path}[{index}]") for index, one in enumerate(written))


def _address(written: str, path: str) -> Address:
    """Raises `InvalidValue`."""
    found = _MAILBOX.fullmatch(written.strip())
    address = found and (found["address"] or found["alone"])
    if not found or not address or not _ADDRESS.fullmatch(address) or _CONTROL.search(written):
        raise InvalidValue(path, "is no address", hint="write ann@example.com or Ann <ann@example.com>")
    try:
        return Address(display_name=(found["name"] or "").strip().strip('"'), addr_spec=address)
    except (ValueError, IndexError, MessageError):
        raise InvalidValue(path, "is no address") from None


def _message_id(key: str, domain: str) -> str:
    """The same for the same key: a mail that is sent again is known by it."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _fill(message: EmailMessage, said: EmailConfig) -> None:
    """Put text, HTML and attachments into `message`. Raises `InvalidValue`."""
    if said.text is None and said.html is None:
        raise InvalidValue("text", "is not there, nor html")
    if said.text is not None:
        message.set_content(said.text)
    if said.html is not None:
        add = message.set_content if said.text is None else message.add_alternative
        add(said.html, subtype="html")
    for index, attachment in enumerate(said.attachments):
        _attach(message, attachment, f"attachments[{index}]")


def _attach(message: EmailMessage, attachment: Attachment, path: str) -> None:
    if not attachment.name or _CONTROL.search(attachment.name):
        raise InvalidValue(f"{path}.name", "is no name of a file")
    if not _CONTENT_TYPE.fullmatch(attachment.content_type):
        raise InvalidValue(f"{path}.content_type", "is no content type of a file", hint="write application/pdf")
    try:
        content = b64decode(attachment.base64, validate=True)
    except ValueError:
        raise InvalidValue(f"{path}.base64", "is not base64") from None
    main, _, sub = attachment.content_type.partition("/")
    message.add_attachment(content, maintype=main, subtype=sub, filename=attachment.name)
