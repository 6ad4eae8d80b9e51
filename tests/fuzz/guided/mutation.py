"""Changes that turn one input into another: bits, bytes, numbers, lengths, words of a format, halves of two inputs."""

from collections.abc import Sequence
from random import Random
from typing import Final

_CHANGES_MAX: Final = 5  # stacked on one input; more only destroy what the input had reached
_PIECE_BYTES_MAX: Final = 24
_BYTES: Final = (0x00, 0x01, 0x02, 0x0F, 0x10, 0x20, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF)
_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_LENGTH_SIZES: Final = (1, 1, 2, 3, 4)


class Mutator:
    """Makes new inputs of old ones; the same random numbers make the same inputs."""

    def __init__(self, random: Random, *, words: Sequence[bytes], bytes_max: int) -> None:
        self._random = random
        self._words = words
        self._bytes_max = bytes_max
        self._changes = (
            self._flip_bit,
            self._flip_bit,
            self._set_byte,
            self._set_byte,
            self._set_number,
            self._tweak_length,
            self._fit_length,
            self._insert,
            self._insert,
            self._delete,
            self._delete,
            self._repeat,
            *((self._put_word,) * 4 if words else ()),
        )

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """Give a changed copy of `data`, at times joined with a part of `other`."""
        random = self._random
        mutant = bytearray(data)
        if random.random() < 0.15:
            mutant = mutant[: random.randint(0, len(mutant))] + other[random.randint(0, len(other)) :]
        for _ in range(random.randint(1, _CHANGES_MAX)):
            random.choice(self._changes)(mutant)
        return bytes(mutant[: self._bytes_max])

    def _place(self, mutant: bytearray) -> int:
        return self._random.randint(0, len(mutant))

    def _flip_bit(self, mutant: bytearray) -> None:
        if mutant:
            mutant[self._random.randrange(len(mutant))] ^= 1 << self._random.randrange(8)

    def _set_byte(self, mutant: bytearray) -> None:
        if mutant:
            at = self._random.randrange(len(mutant))
            mutant[at] = self._random.choice(_BYTES) if self._random.random() < 0.4 else self._random.randrange(256)

    def _set_number(self, mutant: bytearray) -> None:
        size = self._random.choice((2, 4))
        at = self._place(mutant)
        mutant[at : at + size] = (self._random.choice(_NUMBERS) & (1 << 8 * size) - 1).to_bytes(size, "big")

    def _tweak_length(self, mutant: bytearray) -> None:
        # A field that may be a length, made a little longer or shorter.
        size = self._random.choice(_LENGTH_SIZES)
        at = self._place(mutant)
        field = mutant[at : at + size]
        number = int.from_bytes(field, "big") + self._random.choice((-2, -1, 1, 2))
        mutant[at : at + size] = (number % (1 << 8 * len(field))).to_bytes(len(field), "big")

    def _fit_length(self, mutant: bytearray) -> None:
        # A field that may be a length, made to say what follows it.
        size = self._random.choice(_LENGTH_SIZES)
        at = self._place(mutant)
        rest = max(len(mutant) - at - size, 0)
        mutant[at : at + size] = (rest % (1 << 8 * size)).to_bytes(size, "big")

    def _insert(self, mutant: bytearray) -> None:
        at = self._place(mutant)
        mutant[at:at] = self._random.randbytes(self._random.randint(1, 4))

    def _delete(self, mutant: bytearray) -> None:
        at = self._place(mutant)
        del mutant[at : at + self._random.randint(1, _PIECE_BYTES_MAX)]

    def _repeat(self, mutant: bytearray) -> None:
        at = self._place(mutant)
        mutant[at:at] = mutant[at : at + self._random.randint(1, _PIECE_BYTES_MAX)] * self._random.choice(
            (1, 1, 2, 8, 64)
        )

    def _put_word(self, mutant: bytearray) -> None:
        word = self._random.choice(self._words)
        at = self._place(mutant)
        mutant[at : at + self._random.choice((0, len(word)))] = word
