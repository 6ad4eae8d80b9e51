"""Answers to Discover, both ways.

Here: which instances and resources a list of links names. Not here: the link format itself (coap.link_format).
Source: OMA LwM2M 1.1 core section 6.4.2; southbound reference 1.7.
"""

from commandpost.domain.resource import DiscoveredInstance, DiscoveredObject, ResourcePath
from commandpost.protocols.coap.link_format import Link, format_link_format, parse_link_format
from commandpost.protocols.lwm2m.names import parse_path


def decode_discovery(payload: bytes, *, path: ResourcePath, alternate_path: tuple[str, ...] = ()) -> DiscoveredObject:
    """Read which instances and resources a device has below `path`.

    Links to other objects, repeated links and attributes are passed over: modules list one resource per instance
    several times.
    Raises:
        DecodeError: not a list of links.
    """
    instances: dict[int, set[int]] = {}
    for link in parse_link_format(payload):
        parts = _parts(link, alternate_path)
        if parts is None or len(parts) < 2 or not _is_below(parts, path):
            continue
        resource_ids = instances.setdefault(parts[1], set())
        if len(parts) > 2:
            resource_ids.add(parts[2])
    if path.instance_id is not None:
        instances.setdefault(path.instance_id, set())
    return DiscoveredObject(
        path.object_id,
        tuple(DiscoveredInstance(number, tuple(sorted(instances[number]))) for number in sorted(instances)),
    )


def encode_discovery(discovered: DiscoveredObject, *, path: ResourcePath, lists_instances: bool = True) -> bytes:
    """Write the answer to a Discover of `path`: the path itself, then its instances and resources.

    Args:
        lists_instances: whether instances have links of their own, as the standard wants; some modules leave them out.
    """
    links = [Link(target=str(path))]
    for instance in discovered.instances:
        instance_path = ResourcePath(object_id=discovered.object_id, instance_id=instance.id)
        if lists_instances and instance_path != path:
            links.append(Link(target=str(instance_path)))
        for resource_id in instance.resource_ids:
            target = ResourcePath(object_id=discovered.object_id, instance_id=instance.id, resource_id=resource_id)
            if target != path:
                links.append(Link(target=str(target)))
    return format_link_format(links)


def _parts(link: Link, alternate_path: tuple[str, ...]) -> tuple[int, ...] | None:
    segments = link.path
    if alternate_path and segments[: len(alternate_path)] == alternate_path:
        segments = segments[len(alternate_path) :]
    return parse_path("/".join(segments))


def _is_below(parts: tuple[int, ...], path: ResourcePath) -> bool:
    asked = path.parts
    return parts[: len(asked)] == asked
