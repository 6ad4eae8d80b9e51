"""`python -m benchmarks [--only NAME …] [--quick] [--write-docs]`."""

import argparse
import json
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.data import DATA_RUNS
from benchmarks.dtls import DTLS_RUNS
from benchmarks.figures import Comparison, as_markdown
from benchmarks.processes import describe_machine
from benchmarks.push import PUSH_RUNS
from benchmarks.runs import RUNS as BASIC_RUNS
from benchmarks.runs import Scale

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
TABLE_BEGINS, TABLE_ENDS = "<!-- table begins -->\n", "<!-- table ends -->\n"
RUNS = {**BASIC_RUNS, **DATA_RUNS, **PUSH_RUNS, **DTLS_RUNS}
QUICK = Scale(
    rows=20_000,
    devices=2_000,
    requests=1_000,
    registrations=640,
    rounds=2,
    resident=2_000,
    points_few=2_000,
    points_many=20_000,
)


def main() -> int:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", action="append", choices=sorted(RUNS), help="one of them; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--rows", type=int, help="commands in the database that have ended")
    parser.add_argument("--json", type=Path, help="write every value there")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    scale = QUICK if options.quick else Scale()
    if options.rows:
        scale = replace(scale, rows=options.rows)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # every device has a socket of its own
    found: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="commandpost-bench-") as folder:
        machine = describe_machine(Path(folder))
        for name in options.only or RUNS:
            # The store benchmark uses the database that the accepts have filled, if they ran.
            directory = Path(folder) / ("filled" if name in ("accepts", "store") else name)
            print(f"{name} …", file=sys.stderr, flush=True)
            for comparison in RUNS[name](directory, scale):
                found.append(comparison)
                print(as_markdown([comparison]).splitlines()[2], file=sys.stderr, flush=True)
    text = "\n".join(f"* {name}: {value}" for name, value in machine.items()) + "\n\n" + as_markdown(found)
    print(text)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine, "figures": [_as_json(each) for each in found]}, indent=1)
        )
    if options.write_docs:
        document = DOCUMENT.read_text()
        head, _, rest = document.partition(TABLE_BEGINS)
        _, _, tail = rest.partition(TABLE_ENDS)
        DOCUMENT.write_text(f"{head}{TABLE_BEGINS}\n{text}\n{TABLE_ENDS}{tail}")
    return 0


def _as_json(comparison: Comparison) -> dict[str, object]:
    figures = (comparison.ours, *comparison.bare, *comparison.extra)
    return {"title": comparison.title, "figures": {each.name: list(each.values) for each in figures}}


if __name__ == "__main__":
    raise SystemExit(main())
