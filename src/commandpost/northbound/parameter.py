"""Declared parameters: one record says how a value is read, what is allowed, and how it is documented.

Here: the kinds of values (integers, numbers, yes or no, texts, choices). Not here: which parameters a dialect has, and
its times. Every refusal names the parameter, what was found and what is allowed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from commandpost.domain.errors import Invalid
from commandpost.domain.ids import ID_MAX

ValueT = TypeVar("ValueT")
ValueT_co = TypeVar("ValueT_co", covariant=True)
JsonSchema = Mapping[str, object]

DIGITS_MAX: Final = 19  # more digits than an int64 has are out of every range; and int() of a long text is slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Generic[ValueT_co]):
    """One query parameter. `parse` takes the name and the text and raises `Invalid`."""

    name: str
    parse: Callable[[str, str], ValueT_co]
    schema: JsonSchema
    description: str
    is_required: bool = False
    or_name: str | None = None
    """Another name under which it may be given."""
    example: object = field(default=None)


def integer(
    name: str,
    description: str,
    *,
    minimum: int,
    maximum: int,
    is_required: bool = False,
    default: int | None = None,
    example: int | None = None,
) -> Parameter[int]:
    """A whole number in a range, in decimal digits."""

    def parse(field_name: str, text: str) -> int:
        number = parse_integer(text)
        if number is None or not minimum <= number <= maximum:
            raise Invalid(field_name, text, f"an integer from {minimum} to {maximum}")
        return number

    schema: dict[str, object] = {"type": "integer", "minimum": minimum, "maximum": maximum}
    if default is not None:
        schema["default"] = default
    return Parameter(
        name=name, parse=parse, schema=schema, description=description, is_required=is_required, example=example
    )


def number(name: str, description: str, *, minimum: float | None = None) -> Parameter[float]:
    """A finite number in decimal notation."""
    allowed = "a finite number" if minimum is None else f"a finite number of at least {minimum:g}"

    def parse(field_name: str, text: str) -> float:
        value = parse_number(text)
        if value is None or (minimum is not None and value < minimum):
            raise Invalid(field_name, text, allowed)
        return value

    schema: dict[str, object] = {"type": "number"}
    if minimum is not None:
        schema["minimum"] = minimum
    return Parameter(name=name, parse=parse, schema=schema, description=description)


def boolean(name: str, description: str, *, default: bool | None = None) -> Parameter[bool]:
    """`true` or `false`, in any case; 1 and 0 too."""

    def parse(field_name: str, text: str) -> bool:
        match text.lower():
            case "true" | "1":
                return True
            case "false" | "0":
                return False
        raise Invalid(field_name, text, "true or false")

    schema: dict[str, object] = {"type": "boolean"}
    if default is not None:
        schema["default"] = default
    return Parameter(name=name, parse=parse, schema=schema, description=description)


def text(
    name: str,
    description: str,
    *,
    length_max: int,
    is_required: bool = False,
    or_name: str | None = None,
    example: str | None = None,
) -> Parameter[str]:
    """Text of bounded length."""

    def parse(field_name: str, value: str) -> str:
        if len(value) > length_max:
            raise Invalid(field_name, value, f"at most {length_max} characters")
        return value

    return Parameter(
        name=name,
        parse=parse,
        schema={"type": "string", "maxLength": length_max},
        description=description,
        is_required=is_required,
        or_name=or_name,
        example=example,
    )


def choice(
    name: str,
    description: str,
    choices: Mapping[str, ValueT],
    *,
    default: str | None = None,
) -> Parameter[ValueT]:
    """One of a few words, in any case."""
    folded = {word.lower(): value for word, value in choices.items()}

    def parse(field_name: str, value: str) -> ValueT:
        try:
            return folded[value.lower()]
        except KeyError:
            raise Invalid(field_name, value, " or ".join(choices)) from None

    schema: dict[str, object] = {"type": "string", "enum": list(choices)}
    if default is not None:
        schema["default"] = default
    return Parameter(name=name, parse=parse, schema=schema, description=description)


def comma_list(
    name: str,
    description: str,
    *,
    items_max: int | None,
    item_schema: JsonSchema,
    is_required: bool = False,
    or_name: str | None = None,
) -> Parameter[Sequence[str]]:
    """Texts separated by commas; empty ones are passed over. `items_max` None: its reader has a limit of its own."""

    def parse(field_name: str, value: str) -> Sequence[str]:
        items = tuple(part for piece in value.split(",") if (part := piece.strip()))
        if items_max is not None and len(items) > items_max:
            raise Invalid(field_name, f"{len(items)} items", f"at most {items_max}")
        return items

    schema: dict[str, object] = {"type": "array", "items": item_schema}
    if items_max is not None:
        schema["maxItems"] = items_max
    return Parameter(
        name=name, parse=parse, schema=schema, description=description, is_required=is_required, or_name=or_name
    )


def parse_integer(value: str) -> int | None:
    """Read decimal digits with an optional sign; None when it is anything else, or has more digits than an int64."""
    digits = value[1:] if value[:1] in ("-", "+") else value
    if not (digits.isascii() and digits.isdigit()) or len(digits) > DIGITS_MAX:
        return None
    return int(value)


def parse_id(value: str) -> int | None:
    """Read an id, or a place in an order, as our answers write them; None when it can be none: it names nothing."""
    number = parse_integer(value)
    return number if number is not None and 1 <= number <= ID_MAX and value.isdigit() else None


def parse_number(value: str) -> float | None:
    """Read a finite number in decimal notation; None for anything else, `nan` and `inf` among it."""
    if len(value) > 64 or not value or any(sign not in "0123456789+-.eE" for sign in value):
        return None
    try:
        parsed = float(value)
    except ValueError:
        return None
    return parsed if math.isfinite(parsed) else None
