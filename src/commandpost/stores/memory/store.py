"""The reference store: every fact and every question, in dictionaries. Other stores are held to it by one suite."""

from collections.abc import Sequence
from typing import Any

from commandpost.domain.facts import Fact
from commandpost.stores.batch_store import FactHandlers, FactOutcome, as_item_error, find_handler
from commandpost.stores.memory.associations import AssociationFacts, MemoryAssociationReader
from commandpost.stores.memory.audit import AuditFacts, MemoryAuditReader
from commandpost.stores.memory.commands import CommandFacts
from commandpost.stores.memory.connections import ConnectionFacts
from commandpost.stores.memory.data import DataFacts
from commandpost.stores.memory.data_reader import MemoryDataReader
from commandpost.stores.memory.devices import DeviceFacts
from commandpost.stores.memory.keys import KeyFacts, MemoryKeyReader, RegistrationFacts
from commandpost.stores.memory.payloads import MemoryPayloadReader, PayloadFacts
from commandpost.stores.memory.push import MemoryPushReader, PushFacts
from commandpost.stores.memory.reader import MemoryReader
from commandpost.stores.memory.sessions import SessionFacts
from commandpost.stores.memory.state import MemoryState
from commandpost.stores.memory.topics import MemoryTopicReader, TopicFacts
from commandpost.stores.memory.triggers import MemoryTriggerReader, TriggerFacts


class MemoryStore(
    MemoryReader,
    MemoryPayloadReader,
    MemoryKeyReader,
    MemoryDataReader,
    MemoryTopicReader,
    MemoryPushReader,
    MemoryTriggerReader,
    MemoryAuditReader,
    MemoryAssociationReader,
):
    """A BatchStore and every reader there is, that forgets everything with the process."""

    def __init__(self) -> None:
        self.state = MemoryState()
        super().__init__(self.state)
        self._handlers = _handlers(self.state)

    def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:  # Any: each fact has its own result type
        """Apply the facts in order; a bad one gets an error in place of its result and changes nothing."""
        return [self._apply_one(fact) for fact in facts]

    def _apply_one(self, fact: Fact[Any]) -> FactOutcome:  # Any: see apply
        try:
            return find_handler(self._handlers, fact)(fact)
        except Exception as error:  # one bad fact must not take the others of its batch with it
            return as_item_error(fact, error)

    def close(self) -> None:
        """Nothing to let go of; here so that stores may be closed without asking which one it is."""


def _handlers(state: MemoryState) -> FactHandlers:
    keys, data, topics = KeyFacts(state), DataFacts(state), TopicFacts(state)
    pushes, associations = PushFacts(state), AssociationFacts(state)
    forget = (
        keys.forget_device,
        data.forget_device,
        topics.forget_device,
        pushes.forget_device,
        associations.forget_device,
    )
    devices = DeviceFacts(state, forget=forget, forget_proofs=associations.forget_device)
    registration = RegistrationFacts(state, devices=devices, keys=keys)
    return {
        **CommandFacts(state).handlers(),
        **devices.handlers(),
        **SessionFacts(state, devices=devices).handlers(),
        **ConnectionFacts(state).handlers(),
        **PayloadFacts(state).handlers(),
        **keys.handlers(),
        **registration.handlers(),
        **data.handlers(),
        **topics.handlers(),
        **pushes.handlers(),
        **TriggerFacts(state).handlers(),
        **AuditFacts(state).handlers(),
        **associations.handlers(),
    }
