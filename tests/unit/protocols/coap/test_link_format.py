"""Link lists as devices send them."""

import pytest

from commandpost.protocols.coap.link_format import (
    ATTRIBUTES_MAX,
    LINK_FORMAT_BYTES_MAX,
    LINKS_MAX,
    Link,
    format_link_format,
    parse_link_format,
)
from commandpost.protocols.errors import DecodeError, EncodeError


def test_a_onenet_register_payload() -> None:
    """Root link with resource type and content format, then instances."""
    root, first, second = parse_link_format(b'</>;rt="oma.lwm2m";ct=1543,</3200/0>,</3303/1>')

    assert (root.target, root.path, root.get("rt"), root.content_formats) == ("/", (), "oma.lwm2m", (1543,))
    assert (first.path, second.path) == (("3200", "0"), ("3303", "1"))


def test_a_generic_client_lists_versions_and_several_formats() -> None:
    """LwM2M 1.1 writes ver bare and ct quoted."""
    root, device = parse_link_format(b'</>;rt="oma.lwm2m";ct="60 110 112 11542",</3303>;ver=1.1')

    assert root.content_formats == (60, 110, 112, 11542)
    assert device.get("ver") == "1.1"


def test_a_discover_answer_carries_attributes() -> None:
    """pmin, dim and attributes without a value."""
    links = parse_link_format(b"</3303/0>,</3303/0/5700>;pmin=5;pmax=60;obs,</3303/0/5750>;dim=3")

    assert links[1].attributes == (("pmin", "5"), ("pmax", "60"), ("obs", None))
    assert links[1].has("obs")
    assert links[1].get("obs") is None
    assert links[2].get("dim") == "3"


@pytest.mark.parametrize(
    "payload",
    [
        b"</1/2>;a=1,</3>",
        b" </1/2> ; a = 1 , </3> ",
        b"</1/2>;a=1,</3>,",
        b"</1/2>;a=1,,</3>\x00",
        b'</1/2>;;a="1";,</3>\r\n',
        b"</1/2>;a=1,</3>\x00\x00",
    ],
)
def test_sloppy_lists_read_the_same(payload: bytes) -> None:
    """White space, spare separators and closing NULs are forgiven."""
    first, second = parse_link_format(payload)

    assert (first.target, first.attributes) == ("/1/2", (("a", "1"),))
    assert (second.target, second.attributes) == ("/3", ())


def test_quoted_values_may_hold_separators_and_escapes() -> None:
    """A comma inside quotes separates nothing."""
    links = (Link(target="/1", attributes=(("title", 'a, "b"; \\c'), ("rt", "x"))), Link(target="/2"))

    assert parse_link_format(format_link_format(links)) == links


def test_nothing_is_no_links() -> None:
    """An Update without objects."""
    assert parse_link_format(b"") == ()
    assert format_link_format(()) == b""


def test_simple_values_are_written_bare_and_resource_types_quoted() -> None:
    """The way LwM2M prints them."""
    links = (Link(target="/", attributes=(("rt", "oma.lwm2m"), ("ct", "11543"))), Link(target="/3/0"))

    assert format_link_format(links) == b'</>;rt="oma.lwm2m";ct=11543,</3/0>'


@pytest.mark.parametrize(
    ("payload", "offset"),
    [
        (b"3303/0", 0),
        (b"</3303/0", 8),
        (b"</1> </2>", 5),
        (b'</1>;rt="open', 8),
        (b"</1>,\xff", 5),
        (b"</1>x", 4),
    ],
)
def test_what_is_no_link_list_is_refused(payload: bytes, offset: int) -> None:
    """With the place of the fault."""
    with pytest.raises(DecodeError) as raised:
        parse_link_format(payload)

    assert raised.value.offset == offset


def test_size_links_and_attributes_are_bounded() -> None:
    """Whoever sends them."""
    for payload in (
        b"<" + bytes(LINK_FORMAT_BYTES_MAX),
        b",".join([b"</1>"] * (LINKS_MAX + 1)),
        b"</1>" + b";a" * (ATTRIBUTES_MAX + 1),
    ):
        with pytest.raises(DecodeError):
            parse_link_format(payload)
    assert len(parse_link_format(b",".join([b"</1>"] * LINKS_MAX))) == LINKS_MAX


def test_a_format_of_any_number_of_digits_is_left_out() -> None:
    """Python itself refuses 5,000 digits, with an error that a device must not be able to cause."""
    (root,) = parse_link_format(b'</>;ct="110 ' + b"1" * 5_000 + b' 112"')

    assert root.content_formats == (110, 112)


@pytest.mark.parametrize("link", [Link(target="/a>b"), Link(target="/", attributes=(("a b", "1"),))])
def test_links_that_would_end_early_are_not_written(link: Link) -> None:
    """No injection through a target or a name."""
    with pytest.raises(EncodeError):
        format_link_format((link,))
