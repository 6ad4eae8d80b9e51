"""Send: values of its own choice that an LwM2M 1.1 device pushes; stored first, answered then.

Here: the request to `/dp` and its answer. Not here: what it says (lwm2m_reports), and whose it is (lwm2m_server): it
names no device, whoever is registered at its address has sent it. Source: OMA LwM2M 1.1 core sections 6.4.6 and 6.4.7.
"""

from collections.abc import Callable
from functools import partial

from commandpost.domain.errors import CommandpostError, NotFound, PortError
from commandpost.domain.session import Remote, Session
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.events import ReplyHandle
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError
from commandpost.services.observations import Reading
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_notifications import ReportLog
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.open_tasks import OpenTasks


class SendReceiver:
    """Takes Sends."""

    def __init__(
        self,
        *,
        driver: CoapDriver,
        reports: Lwm2mReports,
        on_accepted: Callable[[Session], object],
        log: ReportLog,
        work: OpenTasks,
        open_max: int,
        retry_after_s: int,
    ) -> None:
        """Begin with nothing at work; the arguments are those of NotificationReceiver."""
        self._driver = driver
        self._reports = reports
        self._on_accepted = on_accepted
        self._log = log
        self._work = work
        self._open_max = open_max
        self._retry_after_s = retry_after_s

    def take(self, remote: Remote, message: CoapMessage, reply_to: ReplyHandle, session: Session) -> None:
        """Take a Send of the session whose address it came from."""
        self._driver.know(remote)
        if len(self._work) >= self._open_max:
            self._log.tell("send_declined", session.device_id, reason="too many reports at work")
            self._answer_later(reply_to)
            return
        try:
            readings = self._reports.read_send(message)
        except DecodeError as error:
            self._log.tell(
                "send_undecodable",
                session.device_id,
                content_format=message.content_format,
                payload_bytes=len(message.payload),
                offset=error.offset,
            )
            self._driver.respond(reply_to, code=Code.BAD_REQUEST)
            return
        self._work.start(self._keep(session, readings, reply_to))

    async def _keep(self, session: Session, readings: tuple[Reading, ...], reply_to: ReplyHandle) -> None:
        try:
            left_out = await self._reports.keep(session, readings)
        except NotFound:
            self._driver.respond(reply_to, code=Code.NOT_FOUND)
        except PortError as error:
            self._log.tell("send_declined", session.device_id, reason=error.code)
            self._answer_later(reply_to)
        except CommandpostError as error:
            self._log.tell("send_refused", session.device_id, reason=error.code)
            self._driver.respond(reply_to, code=Code.BAD_REQUEST)
        else:
            if left_out:
                self._log.tell("values_left_out", session.device_id, count=left_out)
            self._driver.respond(reply_to, code=Code.CHANGED, then=partial(self._on_accepted, session))

    def _answer_later(self, reply_to: ReplyHandle) -> None:
        options = ((int(Option.MAX_AGE), encode_uint(self._retry_after_s)),)
        self._driver.respond(reply_to, code=Code.SERVICE_UNAVAILABLE, options=options)
