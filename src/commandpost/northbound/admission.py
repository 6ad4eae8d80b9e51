"""Who calls, and what is noted when a call goes wrong: the same for the dialect and for `/v1`.

Here: the credential, the rate, and the notes for audit and log. Not here: what a refusal looks like, and which calls a
key opens (`onenet`, `v1`).
"""

import traceback

from commandpost.domain.errors import CommandpostError, Forbidden, Overloaded, PortError, Unauthenticated
from commandpost.domain.ports import Clock, EventSink
from commandpost.northbound.messages import ApiRequest, Headers, find_header
from commandpost.services.access import Access, Authenticator
from commandpost.services.rate_limits import RateLimits


class Admission:
    """See the module."""

    def __init__(self, *, authenticator: Authenticator, rates: RateLimits, clock: Clock, events: EventSink) -> None:
        self._authenticator = authenticator
        self._rates = rates
        self._clock = clock
        self._events = events

    async def admit(self, request: ApiRequest) -> Access:
        """Say who asks, and count the call.

        Raises:
            Unauthenticated: no credential, or none that is valid.
            TooFrequent: the caller is too quick.
        """
        try:
            access = await self._recognise(request.headers)
        except Unauthenticated as error:
            request.trail.refuse_credential(is_missing=error.is_missing)
            raise
        request.trail.access = access
        self._rates.check_call(access)
        return access

    async def is_known(self, headers: Headers) -> bool:
        """Tell whether somebody may ask at all, without counting or noting it: the call itself comes yet."""
        try:
            await self._recognise(headers)
        except CommandpostError:
            return False
        return True

    def note_failure(self, request: ApiRequest, route: str, error: Exception) -> None:
        """Note of a call that failed what the audit and the log have to know of it."""
        match error:
            case Forbidden():
                request.trail.is_for_audit = True
            case Overloaded():
                pass  # it is refused to many at once: telling each would add to it
            case PortError():
                self._tell(request, route, error)
            case CommandpostError():
                pass  # the caller's own
            case _:
                self._tell(request, route, error)

    async def _recognise(self, headers: Headers) -> Access:
        api_key, authorization = find_header(headers, b"api-key"), find_header(headers, b"authorization")
        return await self._authenticator.authenticate(api_key, authorization, self._clock.wall_ms())

    def _tell(self, request: ApiRequest, route: str, error: Exception) -> None:
        access = request.trail.access
        frames = traceback.extract_tb(error.__traceback__)
        self._events.emit(
            "call_failed",
            route=route,
            product_id=None if access is None else access.product.id,
            error=type(error).__name__,
            at=f"{frames[-1].name}:{frames[-1].lineno}" if frames else "",
        )
