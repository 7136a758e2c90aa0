"""The table of faults names tests that exist, one row for each fault."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [line for line in (ROOT / "docs/faults.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]
WITHOUT_A_TEST = {"5"}


def test_every_fault_has_a_test_that_exists_or_a_reason_why_not() -> None:
    assert [row.split("|")[1].strip() for row in ROWS] == [str(number) for number in range(1, len(ROWS) + 1)]
    for row in ROWS:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named or row.split("|")[1].strip() in WITHOUT_A_TEST, row
        for path, name in named:
            assert re.search(rf"def {name}\(", (ROOT / path).read_text()), f"{path}::{name}"
