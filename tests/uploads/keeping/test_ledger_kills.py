"""The ledger is killed at any instant, for real: what it has said is kept is there, and nothing is thought unsent."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store import DATABASE
from gateway.uploads.keeping.journal import NAME
from gateway.uploads.keeping.spool import FOLDER
from gateway.uploads.recording import State
from tests.uploads.keeping.ledgers import opened
from tests.uploads.keeping.stages import sha256_of

ROOT = Path(__file__).parent.parent.parent.parent
S = State

CHANGER = """
import asyncio, sys
from pathlib import Path
from gateway.uploads import transitions as t
from gateway.uploads.recording import State
from tests.uploads.keeping.ledgers import opened
from tests.uploads.keeping.stages import history, sha256_of

def on(known, number):
    match known and known.state:
        case None:
            return history(number, State.QUEUED)[0]
        case State.QUEUED:
            return t.sending(known, 2)
        case State.SENDING:
            return t.closing(known, 3)
        case State.CLOSING | State.AMBIGUOUS:
            return t.accepted(known, "job-1", 4)
        case State.ACCEPTED:
            return t.done(known, 5)
        case State.DONE:
            return t.purged(known, 6)
        case State.PURGED:
            return t.taken_again(known, known.sources[0])

async def main():
    async with opened(Path(sys.argv[1])) as kept:
        while True:
            for number in range(3):
                sha256 = sha256_of(number)
                known = kept.ledger.recordings.get(sha256)
                if known is None or known.state is State.PURGED:
                    kept.put_file(number)
                it = await kept.ledger.taken(sha256, lambda known: on(known, number))
                print(number, it.version, it.state, flush=True)
                if it.state is State.PURGED:
                    await kept.ledger.drop_file(sha256)
asyncio.run(main())
"""


def lose_database(folder: Path) -> None:
    (folder / DATABASE).unlink()
    for suffix in ("-wal", "-shm"):
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)


def lose_journal(folder: Path) -> None:
    (folder / FOLDER / NAME).unlink()


def lose_nothing(_: Path) -> None:
    pass


NEXT = {
    S.QUEUED: {S.QUEUED},
    S.SENDING: {S.QUEUED, S.AMBIGUOUS},
    S.CLOSING: {S.AMBIGUOUS, S.ACCEPTED},
    S.ACCEPTED: {S.ACCEPTED, S.DONE},
    S.DONE: {S.DONE, S.PURGED},
    S.PURGED: {S.PURGED, S.DONE},
}
"""What an acknowledged state may be after the next start: what that makes of it, or of one change more."""


@pytest.mark.parametrize("lose", [lose_nothing, lose_database, lose_journal])
async def test_what_was_acknowledged_is_there_after_it_was_killed(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    draw = random.Random(5)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}"}
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", CHANGER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        ) as changer:
            assert changer.stdout is not None
            lines = [changer.stdout.readline() for _ in range(draw.randrange(2, 80))]
            changer.send_signal(signal.SIGKILL)
            lines += changer.stdout.read().splitlines()
        acknowledged = {number: (int(version), S(state)) for number, version, state in map(str.split, lines)}
        assert acknowledged
        lose(tmp_path)
        async with opened(tmp_path) as kept:
            assert kept.trouble() is None
            for number, (version, state) in acknowledged.items():
                it = kept.ledger.recordings[sha256_of(int(number))]
                assert version <= it.version <= version + 2
                assert it.state in NEXT[state]
                assert it.may_be_in_cloud == (it.state is S.AMBIGUOUS)
                assert kept.spool.path(it.sha256).exists() or it.state is S.PURGED
