"""What becomes of refused logins over MQTT and EDP: each is kept in the audit, and answered late where there are many.

Both are shared with HTTP: whoever tries keys at one door is slower at the others, too.
"""

from commandpost.domain.audit import REMOTE_CHARACTERS_MAX, TARGET_CHARACTERS_MAX, Actor, AuditEntry, cut
from commandpost.domain.command import Transport
from commandpost.domain.ports import Clock
from commandpost.services.audit import AuditLog
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.logins import LoginRefusal


class RefusedLogins:
    """A LoginRefusals."""

    def __init__(self, *, audit: AuditLog, failed_logins: FailedLogins | None, clock: Clock) -> None:
        self._audit = audit
        self._failed_logins = failed_logins
        self._clock = clock

    async def refused(self, transport: Transport, refusal: LoginRefusal, named: str, remote: str) -> None:
        """Keep it, and wait as long as its answer has to.

        One that would be one too many to wait is answered at once; its connection ends with the answer in any case.
        """
        entry = AuditEntry(
            at=self._clock.wall_ms(),
            product_id=None,
            actor=Actor.NOBODY,
            action=f"login {transport.value}",
            target=cut(named, TARGET_CHARACTERS_MAX),
            remote=cut(remote, REMOTE_CHARACTERS_MAX),
            result=refusal.value,
        )
        self._audit.record(entry)
        if self._failed_logins is not None and remote:
            await self._failed_logins.failed(remote)
