"""Whatever facts come in whatever order and batches, SQLite and the reference store say the same and know the same."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import CommandMode, CommandState, Outcome, Trigger
from commandpost.domain.command_state import AttemptEvent, FailedForGood, FailedForNow, FailedTooLate, Succeeded
from commandpost.domain.device import DeviceChange, DeviceFilter, KeyKind, KeyLabel, ProductChange
from commandpost.domain.errors import CommandpostError
from commandpost.domain.facts import (
    AcceptCommand,
    CancelAll,
    CancelCommand,
    ChangeDeviceKeys,
    Claim,
    CreateDevice,
    CreateProduct,
    DeleteDevice,
    ExpireDue,
    Fact,
    FinishAndClaim,
    PruneCommands,
    PruneOldKeys,
    RecordInstant,
    RecordLateAnswer,
    RefuseCommand,
    ReplaceKey,
    UpdateDevice,
    UpdateProduct,
    WaitingFor,
)
from commandpost.domain.ids import AttemptId, DeviceId, ProductId, StartId
from commandpost.domain.operation import Discover, Read
from commandpost.domain.payload_facts import (
    ConfirmDelivery,
    EndConnection,
    EndFormerAttempts,
    EndStaleConnections,
    NoteHeard,
    ReplyToPayload,
    StartConnection,
)
from commandpost.domain.payload_ports import PayloadFilter
from commandpost.domain.ports import HistoryFilter, Page
from commandpost.domain.resource import DiscoveredInstance, DiscoveredObject, ObjectLinkEntry, ResourcePath
from commandpost.domain.session import Remote, SetupKind, SetupStep
from commandpost.domain.session_facts import (
    AddObservation,
    ChangeSession,
    DropObservation,
    EndSession,
    KeepIdentity,
    KeepResources,
    KeepSetup,
    StartSession,
    TouchSession,
)
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.store_harness import MemoryHarness, SqliteHarness, StoreHarness

NUMBERS = range(1, 9)
"""Commands and attempts; few, so that facts meet."""

STANDS = (
    (CommandState.WAITING, None),
    (CommandState.EXPIRED, Outcome.TIME_OUT),
    (CommandState.FAILED, Outcome.TIME_OUT),
    (CommandState.SUCCEEDED, Outcome.SUCCESS),
)

device_ids = st.sampled_from([DeviceId(number) for number in (1, 2, 3)])
product_ids = st.sampled_from([ProductId(number) for number in (1, 2)])
numbers = st.sampled_from(NUMBERS)
epochs = st.sampled_from([1, 2, 3])
offsets = st.sampled_from([0, 1_000, 2_000, 30_000, 60_000, 90_000])
triggers = st.sampled_from([Trigger.REGISTER, Trigger.UPDATE, Trigger.NOTIFY | Trigger.CONNECT])
limits = st.sampled_from([1, 2, 100])


@st.composite
def devices(draw: st.DrawFn) -> Any:
    imei = draw(st.sampled_from(["861", "862", "863", None]))
    return replace(
        build.device(draw(product_ids), imei, device_id=draw(st.sampled_from([0, 0, 0, 2]))),
        title=draw(st.sampled_from(["a", "b"])),
        tags=draw(st.sampled_from([(), ("x",), ("x", "y")])),
        last_heard_at=draw(st.sampled_from([None, build.at(5_000)])),
    )


product_changes = st.builds(
    ProductChange,
    name=st.sampled_from([None, "new"]),
    is_auto_discovered=st.sampled_from([None, True, False]),
    bootstrap_uri=st.sampled_from([None, "", "coap://192.0.2.1:5683"]),
)
device_changes = st.builds(
    DeviceChange,
    title=st.sampled_from([None, "a", "b"]),
    tags=st.sampled_from([None, (), ("x",)]),
    imsi=st.sampled_from([None, "", "460000000000001", "460000000000002"]),
    auth_info=st.sampled_from([None, '"sn-1"', '"sn-2"']),
)


@st.composite
def commands(draw: st.DrawFn) -> Any:
    device = replace(build.device(draw(product_ids)), id=draw(device_ids))
    created = draw(offsets)
    command = build.command(
        device, draw(numbers), created=created, valid=created, expires=created + draw(st.sampled_from([1, 30_000]))
    )
    changed = replace(command, triggers=draw(triggers), remaining=draw(st.sampled_from([None, 1, 3])))
    if draw(st.integers(0, 2)):
        return changed
    qos = draw(st.sampled_from([0, 1]))
    payload = payloads.payload(device, 1, qos=qos)
    return replace(
        changed,
        operation=payload.operation,
        transport=payload.transport,
        retry=payload.retry,
        remaining=payload.remaining,
        delivery=payload.delivery,
    )


@st.composite
def connections(draw: st.DrawFn) -> Any:
    device = replace(build.device(draw(product_ids)), id=draw(device_ids))
    start_id = StartId(draw(st.sampled_from([6, 7, 8])))
    return payloads.connection(device, connected=draw(offsets), start_id=start_id)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    number = draw(numbers)
    device = build.device(ProductId(1), device_id=draw(device_ids))
    sent = draw(offsets)
    return build.claim(build.command(device, number), draw(numbers), epoch=draw(epochs), sent=sent)


@st.composite
def attempt_events(draw: st.DrawFn) -> AttemptEvent:
    make = draw(st.sampled_from([build.success, build.refusal, build.silence]))
    end = make(draw(numbers), when=draw(offsets))
    kinds: list[type[AttemptEvent]] = [Succeeded, FailedForNow, FailedForGood, FailedTooLate]
    return draw(st.sampled_from(kinds))(at=end.at, end=end)


@st.composite
def sessions(draw: st.DrawFn) -> Any:
    device = replace(build.device(draw(product_ids)), id=draw(device_ids))
    session = build.session(
        device, epoch=draw(epochs), registered=draw(offsets), lifetime_s=draw(st.sampled_from([5, 60]))
    )
    observations = (build.observation(draw(numbers)),) if draw(st.booleans()) else ()
    label = draw(st.sampled_from([None, *KeyLabel]))
    links = draw(st.sampled_from([(), (ObjectLinkEntry(3, 0),), (ObjectLinkEntry(3), ObjectLinkEntry(3303, 0))]))
    return replace(session, pending_setup=draw(pending), observations=observations, identity_label=label, links=links)


pending = st.sampled_from(
    [
        (),
        (SetupStep(SetupKind.DISCOVER, Discover(path=ResourcePath(object_id=3))),),
        (SetupStep(SetupKind.READ_DEVICE, Read(path=ResourcePath(object_id=3, instance_id=0))),),
    ]
)
instants = offsets.map(build.at)
keys = st.builds(
    lambda kind, number, product_id: build.key(kind, index=bytes([number]) * 32, product_id=product_id),
    st.sampled_from(list(KeyKind)),
    numbers,
    product_ids,
)
discovered = st.builds(
    DiscoveredObject,
    st.sampled_from([3, 3303]),
    st.sampled_from([(), (DiscoveredInstance(0, (1, 2)),)]),
)
observations = st.builds(build.observation, numbers, st.sampled_from([build.TEMPERATURE, ResourcePath(object_id=3)]))


def ended(command: Any) -> Any:
    """An instant command at its end."""
    return replace(command, mode=CommandMode.INSTANT, state=CommandState.FAILED, finished_at=command.created_at)


command_ids = numbers.map(build.command_id)
accepts = st.builds(AcceptCommand, command=commands(), waiting_max=st.sampled_from([1, 2, 10]))
facts: st.SearchStrategy[Fact[Any]] = st.one_of(
    accepts,
    accepts,
    st.builds(WaitingFor, device_id=device_ids, trigger=triggers, now=instants, limit=limits),
    claims(),
    claims(),
    st.builds(
        FinishAndClaim, command_id=command_ids, event=attempt_events(), next_claim=st.one_of(st.none(), claims())
    ),
    st.builds(RecordLateAnswer, attempt_id=numbers.map(AttemptId)),
    st.builds(RefuseCommand, command_id=command_ids, outcome=st.just(Outcome.REQ_PARAM_ERROR), at=instants),
    st.builds(CancelCommand, device_id=device_ids, command_id=command_ids, at=instants),
    st.builds(CancelAll, device_id=device_ids, at=instants),
    st.builds(ExpireDue, now=instants, limit=limits),
    st.builds(
        lambda command, number: RecordInstant(command=ended(command), attempts=(build.attempt(command, number),)),
        commands(),
        numbers,
    ),
    st.builds(PruneCommands, created_before=instants, limit=limits),
    st.builds(
        CreateProduct,
        product=st.builds(lambda product_id: build.product(product_id=product_id), st.sampled_from([0, 1, 2])),
        keys=st.lists(keys, max_size=2).map(tuple),
    ),
    st.builds(UpdateProduct, product_id=product_ids, change=product_changes),
    st.builds(ReplaceKey, key=keys, old_until=st.none() | instants),
    st.builds(PruneOldKeys, expired_before=instants, limit=limits),
    st.builds(CreateDevice, device=devices()),
    st.builds(UpdateDevice, product_id=product_ids, device_id=device_ids, change=device_changes, at=instants),
    st.builds(
        ChangeDeviceKeys,
        product_id=product_ids,
        device_id=device_ids,
        sealed_psk=st.sampled_from([None, b"a", b"b"]),
        sealed_bootstrap_psk=st.sampled_from([None, b"c"]),
        sealed_auth_code=st.sampled_from([None, b"d"]),
        psk_identity=st.sampled_from([None, "roof", "861", "862;46", "863", "863;46"]),
    ),
    st.builds(DeleteDevice, product_id=product_ids, device_id=device_ids),
    st.builds(StartSession, session=sessions()),
    st.builds(StartSession, session=sessions()),
    st.builds(EndSession, device_id=device_ids, epoch=epochs, at=instants),
    st.builds(
        ChangeSession,
        session=sessions(),
        dropped_tokens=st.lists(numbers.map(lambda number: number.to_bytes(8, "big")), max_size=2).map(tuple),
        has_new_objects=st.booleans(),
    ),
    st.builds(AddObservation, device_id=device_ids, epoch=epochs, observation=observations),
    st.builds(DropObservation, device_id=device_ids, coap_token=numbers.map(lambda number: number.to_bytes(8, "big"))),
    st.builds(KeepSetup, device_id=device_ids, epoch=epochs, pending=pending),
    st.builds(
        TouchSession,
        device_id=device_ids,
        epoch=epochs,
        remote=st.sampled_from([None, Remote(b"r")]),
        last_heard_at=instants,
        deadline=instants,
    ),
    st.builds(
        KeepResources,
        device_id=device_ids,
        objects=st.lists(discovered, max_size=2).map(tuple),
    ),
    st.builds(StartConnection, connection=connections()),
    st.builds(StartConnection, connection=connections()),
    st.builds(EndConnection, device_id=device_ids, epoch=epochs, at=instants, last_heard_at=instants),
    st.builds(EndStaleConnections, start_id=st.just(build.START), at=instants, limit=limits),
    st.builds(EndFormerAttempts, device_id=device_ids, at=instants, limit=limits),
    st.builds(ConfirmDelivery, command_id=command_ids, attempt_id=numbers.map(AttemptId), at=instants),
    st.builds(ReplyToPayload, device_id=device_ids, command_id=command_ids, payload=st.just(b"done"), at=instants),
    st.builds(ReplyToPayload, device_id=device_ids, command_id=command_ids, payload=st.just(b"done"), at=instants),
    st.builds(NoteHeard, device_id=device_ids, epoch=epochs, last_heard_at=instants),
    st.builds(KeepIdentity, device_id=device_ids, manufacturer=st.just("ACME"), model=st.just("M1")),
)


def everything(store: StoreHarness) -> Iterator[object]:
    """All that a store can be asked, and its outbox."""
    ask, reader = store.ask, store.reader
    page, narrow = Page(number=1, size=100), Page(number=2, size=1)
    yield ask(reader.list_products())
    yield ask(reader.online_among([DeviceId(number) for number in NUMBERS]))
    for now in (build.at(1_000), build.at(60_000), build.at(10**9)):
        yield ask(reader.overdue_sessions(now, 2))
        yield ask(reader.overdue_attempts(now, 2))
    yield ask(reader.sessions_in_setup(DeviceId(0), 100))
    yield ask(reader.waiting_devices(DeviceId(1), 100))
    yield ask(reader.open_attempts(AttemptId(2), 100))
    for number in NUMBERS:
        yield ask(reader.find_command(build.command_id(number)))
        yield ask(reader.find_key(bytes([number]) * 32))
    for identity in ("roof", "863;46"):
        yield ask(reader.find_device_by_psk_identity(identity))
    for product_id, auth_info in ((1, '"sn-1"'), (2, '"sn-1"'), (1, '"sn-2"')):
        yield ask(reader.find_device_by_auth_info(ProductId(product_id), auth_info))
    for product_id in (ProductId(1), ProductId(2)):
        yield ask(reader.list_devices(product_id, DeviceFilter(), page))
        yield ask(reader.list_devices(product_id, DeviceFilter(tags=("x",), is_online=True), page))
        yield ask(reader.list_commands(product_id, before_seq=5, limit=3))
        yield [ask(reader.get_key(product_id, kind)) for kind in KeyKind]
        yield ask(reader.old_keys(product_id))
    for device_id in (DeviceId(1), DeviceId(2), DeviceId(3)):
        yield ask(reader.find_device(device_id))
        yield ask(reader.find_session(device_id))
        yield ask(reader.list_resources(device_id))
        which = HistoryFilter(device_id=device_id, start=build.at(0), end=build.at(60_000))
        yield ask(reader.list_history(which, page))
        yield ask(reader.list_history(replace(which, is_ascending=True), narrow))
        sent = PayloadFilter(device_id=device_id, start=build.at(0), end=build.at(60_000), now=build.at(31_000))
        yield ask(reader.list_payloads(sent, page))
        yield ask(reader.list_payloads(replace(sent, is_ascending=True), narrow))
        for stand in STANDS:
            yield ask(reader.list_payloads(replace(sent, stands=(stand,)), narrow))
    yield store.outbox()


def outcomes(store: StoreHarness, batch: list[Fact[Any]]) -> list[object]:
    """What a batch came to; of an error only that it was one."""
    return ["an error" if isinstance(outcome, CommandpostError) else outcome for outcome in store.apply_batch(batch)]


@given(batches=st.lists(st.lists(facts, min_size=1, max_size=6), min_size=1, max_size=12))
def test_sqlite_and_the_reference_store_agree(batches: list[list[Fact[Any]]]) -> None:
    memory = MemoryHarness()
    with tempfile.TemporaryDirectory() as directory:
        sqlite = SqliteHarness(Path(directory) / "commandpost.db")
        try:
            for store in (memory, sqlite):
                assert store.make_product() == 1
                store.make_online_device(ProductId(1), "861")
                store.make_device(ProductId(1), "862")
                store.subscribe(ProductId(1))
            for batch in batches:
                assert outcomes(sqlite, batch) == outcomes(memory, batch)
                assert list(everything(sqlite)) == list(everything(memory))
        finally:
            sqlite.store.close()
