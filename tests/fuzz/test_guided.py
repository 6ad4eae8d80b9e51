"""Every parser under guidance: the kept corpus again, then a bounded run; and a proof that the guidance guides."""

import ast
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.guided.corpus import CORPUS, read_corpus, write_corpus
from tests.fuzz.guided.guidance import ENTRIES_MAX, Exploration, execute, explore, minimise
from tests.fuzz.guided.target import Target, joined, pieces, stateless
from tests.fuzz.guided.targets import PROTOCOLS, TARGETS
from tests.fuzz.guided.tracing import SettraceTracer, Tracer, lines_in, new_tracer

MUTANTS = 300  # of each target: all of them take about ten seconds of one core
ENTRY_BYTES_MAX = 2_000
CORPUS_BYTES_MAX = 300_000
# What reads bytes here is named so; `peek` and the like stand beside them.
READING = ("decode", "parse_", "split_records", "split_fragments", "receive_", "check_topic")
GUIDED_INPUTS = 10_000  # three times what guidance needs on average
MAGIC = b"\x80\x10\x7f\xfe"


@pytest.fixture(scope="module")
def tracer() -> Iterator[Tracer]:
    tracer = new_tracer(PROTOCOLS)
    yield tracer
    tracer.close()


@pytest.fixture
def own_tracer() -> Iterator[Tracer]:
    """Lines of this file, for parsers that are written below."""
    tracer = new_tracer(Path(__file__))
    yield tracer
    tracer.close()


def toy(data: bytes) -> None:
    """Fail on four bytes, one check after the other."""
    if data[:1] != MAGIC[:1]:
        return
    if data[1:2] != MAGIC[1:2]:
        return
    if data[2:3] != MAGIC[2:3]:
        return
    if data[3:4] != MAGIC[3:4]:
        return
    raise ZeroDivisionError("the bug")


def endless(data: bytes) -> None:
    """Go on for ever, catching all that a parser may catch."""
    while data:
        try:
            data = bytes(data)
        except Exception:
            raise


def target_of(name: str) -> Target:
    parse = {"toy": toy, "endless": endless}[name]
    return Target(name=name, prepare=stateless(parse), seeds=(bytes(6),), modules=())


def told(exploration: Exploration) -> str:
    """Say what was found so that it can be tried again."""
    return "\n".join(f"{find.target}: {find.data.hex()}\n{find.trace}" for find in exploration.finds)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_its_mutants_are_read_or_refused(name: str, tracer: Tracer) -> None:
    """Declared errors only, in bounded time, for each target."""
    exploration = explore(TARGETS[name], read_corpus(name), tracer, random=Random(name), inputs_max=MUTANTS)

    assert not exploration.finds, told(exploration)
    assert exploration.inputs >= MUTANTS


def test_the_corpus_is_small_and_of_these_targets_only() -> None:
    """It lives in the repository and is replayed on every run."""
    files = sorted(CORPUS.iterdir())

    assert [file.name for file in files] == sorted(f"{name}.hex" for name in TARGETS)
    assert sum(file.stat().st_size for file in files) < CORPUS_BYTES_MAX
    for file in files:
        lines = file.read_text().splitlines()
        assert lines == sorted(set(lines))
        assert 0 < len(lines) <= ENTRIES_MAX
        assert all(0 < len(line) < 2 * ENTRY_BYTES_MAX for line in lines)


def test_every_file_that_reads_bytes_has_a_target() -> None:
    """A new parser without one is noticed here."""
    named = {module for target in TARGETS.values() for module in target.modules}

    reading = {
        str(file.relative_to(PROTOCOLS))
        for file in PROTOCOLS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith(READING)
    }
    assert reading <= named, reading - named
    assert all((PROTOCOLS / module).exists() for module in named)


@pytest.mark.parametrize("seed", [1, 2])
def test_guidance_finds_what_blind_mutation_does_not(seed: int, own_tracer: Tracer) -> None:
    """Four magic bytes; the same random numbers and the same count of inputs for both."""
    guided, blind = (
        explore(target_of("toy"), (), own_tracer, random=Random(seed), inputs_max=GUIDED_INPUTS, is_guided=is_guided)
        for is_guided in (True, False)
    )

    assert [find.data[:4] for find in guided.finds] == [MAGIC]
    assert "ZeroDivisionError: the bug" in guided.finds[0].trace
    assert blind.finds == []
    assert blind.inputs == guided.inputs == GUIDED_INPUTS + 1


def test_an_input_without_end_is_a_find(own_tracer: Tracer) -> None:
    """By the lines it takes: no clock is needed to stop it."""
    _, find = execute(target_of("endless"), b"x", own_tracer)

    assert find is not None
    assert "TooManySteps" in find.trace


def test_what_adds_nothing_is_not_kept(own_tracer: Tracer) -> None:
    """Of inputs that reach the same the shortest stays, cut down to what it needs; a find never does."""
    entries = [b"\0", b"\0\0\0", MAGIC[:2] + b"xyz", MAGIC[:2] + b"x", MAGIC, MAGIC[:1]]

    kept = minimise(target_of("toy"), entries, own_tracer)

    assert kept == [MAGIC[:2], b"\0", MAGIC[:1]]


@pytest.mark.parametrize("name", ["coap_codec", "mqtt_server_5", "lwm2m_senml_json"])
def test_every_way_to_see_lines_sees_the_same(name: str, tracer: Tracer) -> None:
    """So a corpus that was grown on one Python is of use on another; before 3.12 there is one way, seen twice."""
    target, other = TARGETS[name], SettraceTracer(PROTOCOLS)

    for data in (*target.seeds, *read_corpus(name)):
        steps, other_steps = execute(target, data, tracer)[0], execute(target, data, other)[0]
        assert tracer.lines_of(steps) == other.lines_of(other_steps)


def test_only_lines_of_functions_count() -> None:
    """Those of a module run when it is imported, whatever the corpus says."""
    lines = {line for _, line in lines_in(Path(__file__))}

    assert toy.__code__.co_firstlineno + 2 in lines
    assert toy.__code__.co_firstlineno not in lines


def test_a_corpus_file_gives_back_what_was_written(tmp_path: Path) -> None:
    """Sorted, each entry once."""
    write_corpus("any", [b"\2", b"\1\0", b"\2"], tmp_path)

    assert read_corpus("any", tmp_path) == [b"\1\0", b"\2"]
    assert read_corpus("none", tmp_path) == []


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", []), (b"\0", [b""]), (b"\2ab\1c", [b"ab", b"c"]), (b"\5ab", [b"ab"])]
)
def test_an_input_is_several_datagrams(data: bytes, expected: list[bytes]) -> None:
    """Any bytes are some datagrams, and any short datagrams are some bytes."""
    assert list(pieces(data, count_max=4)) == expected
    assert list(pieces(joined(expected), count_max=4)) == expected
    assert list(pieces(bytes(9), count_max=4)) == [b""] * 4
