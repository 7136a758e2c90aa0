"""What must be true of recordings whatever happens, with a Python dict as the model."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.simulator.jobs import Job
from gateway.uploads.recording import DELETED, Recording, State
from tests.uploads.sending.bringing import asi

SIZES = (40, 3_000, 60_000, 130_000)


@dataclass
class Model:
    """What has been done, and what must hold because of that.

    Attributes:
        contents: All that there is to be recorded, by SHA-256.
        acknowledged: Those that the gateway has said it has.
        lying: Whole files in the inbox, by their path there.
        harmed: Those whose file in the spool we have damaged or deleted.
        discards: Those that a person wants to be gone.
        asked: Those about which a person has said something that is not answered yet.
        allowed: How often one may be in the cloud beyond once, because of people.
        forgotten: Those of which the gateway cannot know any more that they have been here.
        doubtful: Those of which nobody can know that the cloud may have them.
        is_forgetful: Whether the gateway may not know any more which tracker one was sent for.
        is_blind: Whether the gateway could ever not ask what the cloud has.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    lying: dict[str, str] = field(default_factory=dict)
    harmed: set[str] = field(default_factory=set)
    discards: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    allowed: Counter[str] = field(default_factory=Counter)
    forgotten: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    is_forgetful: bool = False
    is_blind: bool = False

    def content(self, number: int) -> str:
        """The SHA-256 of one, which is there from then on."""
        made = asi(SIZES[number % len(SIZES)], seed=number)
        sha256 = hashlib.sha256(made).hexdigest()
        self.contents[sha256] = made
        return sha256

    def faults(
        self, known: Mapping[str, Recording], jobs: list[Job], now_ms: int, path: Callable[[str], Path], inbox: Path
    ) -> list[str]:
        """What must not be.

        Args:
            known: What the gateway says.
            jobs: Of the cloud.
            now_ms: The cloud's clock.
            path: Where the file of a recording should be.
            inbox: The folder.
        """
        self._take_note(known, path)
        wrong = [f"{sha256[:8]} was made by nobody" for sha256 in known.keys() - self.contents.keys()]
        wrong += [
            f"the cloud has {job.sha256[:8]}, which nobody has made" for job in jobs if job.sha256 not in self.contents
        ]
        for name, sha256 in list(self.lying.items()):
            if not (inbox / name).exists():
                del self.lying[name]
                if sha256 not in self.acknowledged:
                    wrong.append(f"{name} has gone from the inbox, and the gateway has not got {sha256[:8]}")
        for sha256 in sorted(self.acknowledged):
            one = known.get(sha256)
            if one is None:
                if sha256 not in self.forgotten:
                    wrong.append(f"{sha256[:8]} was acknowledged, and nobody knows of it")
                continue
            its = [job for job in jobs if job.sha256 == sha256]
            wrong += [f"{sha256[:8]} is {one.state}: {text}" for text in self._wrong(one, its, now_ms, path(sha256))]
        return wrong

    def _take_note(self, known: Mapping[str, Recording], path: Callable[[str], Path]) -> None:
        self.acknowledged |= known.keys()
        for sha256, one in known.items():
            if one.state is not State.DISCARDED and sha256 not in self.asked:
                self.discards.discard(sha256)
            is_told = one.state in {State.CORRUPT, State.MISSING}
            if sha256 in self.harmed and not is_told and self._has_its_bytes(path(sha256), sha256):
                self.harmed.discard(sha256)

    def _has_its_bytes(self, path: Path, sha256: str) -> bool:
        return path.exists() and path.read_bytes() == self.contents[sha256]

    def _wrong(self, one: Recording, jobs: list[Job], now_ms: int, path: Path) -> Iterator[str]:
        good = [job for job in jobs if not job.fails]
        match one.state:
            case State.DONE | State.PURGED if not any(job.done_ms <= now_ms for job in good):
                yield "the cloud does not say so"
            case State.ACCEPTED if not jobs:
                yield "the cloud has not got it"
            case State.FAILED if len(good) == len(jobs):
                yield "the cloud does not say so"
            case State.DISCARDED if one.sha256 not in self.discards:
                yield "nobody wanted that"
            case _:
                pass
        if one.sha256 in self.forgotten:
            return
        if one.sha256 not in self.harmed:
            if one.state in {State.CORRUPT, State.MISSING}:
                yield "nobody has done that"
            elif one.state not in DELETED and not self._has_its_bytes(path, one.sha256):
                yield f"its file {'has other bytes' if path.exists() else 'has gone'}"
        yield from self._too_often(one, good)

    def _too_often(self, one: Recording, good: list[Job]) -> Iterator[str]:
        times = len(good)
        if self.is_forgetful:
            times = max(Counter(job.device_id for job in good).values(), default=0)
        if times > 1 and one.sha256 not in self.doubtful:
            if not one.maybe_duplicate:
                yield f"the cloud has it {times} times, and that is not said"
            if times > 1 + self.allowed[one.sha256] and not self.is_blind:
                yield f"the cloud has it {times} times"
