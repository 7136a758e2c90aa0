"""Which athletes may be shown: their releases, with basis and by whom, and since when each tracker's rows are theirs.

Closed is what is so by itself: who has no release is not followed, not kept and not streamed, and where the disk has
lost the releases nobody is shown. A withdrawal counts at once, whatever the disk does; a release counts when it is on
the disk, and only for rows measured from then on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Protocol

from gateway.access.caller import Caller
from gateway.access.errors import AccessCode, AccessError
from gateway.access.release import Release, ReleasesReport, Wearer, dated, reported
from gateway.access.release_records import SCHEMA, Kept, load, put
from gateway.access.tombstones import Tombstones
from gateway.problems import Problems
from gateway.store import Store, StoreError

__all__ = ["ALL", "MAX_BASIS", "SCHEMA", "Notes", "Releases"]

ALL: Final = "*"
"""In place of a list: every athlete of the configuration."""

MAX_BASIS = 200

TOMBSTONES = "releases.withdrawn"

_TURN_S = 1.0
_MEND_S = 60.0
_PATIENCE_S = 2.0
"""How long a withdrawal waits for the disk until it is answered: it holds already."""

_UNSAVED, _UNREAD, _LOST = "releases_unsaved", "releases_unread", "releases_lost"
_NOBODY = "nobody_released"


class Notes(Protocol):
    """Where it is noted who has changed what: `gateway.access.audit.Audit`."""

    def note(self, caller: Caller | None, deed: str, subject: str = "", outcome: str = "done") -> None:
        """Note a deed."""


class Releases:
    """The releases of all athletes, and who wears what.

    Attributes:
        revision: Grows with every change of `released`.
    """

    def __init__(
        self,
        store: Store,
        subjects: Mapping[str, str],
        utc_ms: Callable[[], int],
        reference_ms: Callable[[], int | None],
        problems: Problems,
        audit: Notes,
        *,
        is_required: bool,
    ) -> None:
        """Make it know of no release; `load` reads the store.

        Args:
            store: Where they are kept.
            subjects: Whose release counts for each tracker, by serial number: the athlete, or the serial number itself.
            utc_ms: The wall clock, epoch ms: for people.
            reference_ms: Epoch ms by a clock that agrees with the trackers', or None while it is not known.
            problems: Told when the disk does not keep what is decided.
            audit: Told who changes what.
            is_required: Whether an athlete needs a release; if not, everybody is shown.
        """
        self.revision = 1
        self.is_required = is_required
        self._store = store
        self._subjects = dict(subjects)
        self._utc_ms = utc_ms
        self._reference_ms = reference_ms
        self._problems = problems
        self._audit = audit
        self._releases: dict[str, Release] = {}
        self._wearers = {serial: Wearer(subject, 0) for serial, subject in self._subjects.items()}
        self._given: dict[str, Release] = {}  # on their way to the disk
        self._withdrawn: set[str] = set()  # before the store could be read
        self._tombstones = Tombstones(store, TOMBSTONES)
        self._saved: Kept | None = None  # None until the store was read
        self._opening = 0
        self._has_failed = False  # what holds now could not be brought to the disk
        self._changed = asyncio.Event()
        self._released = MappingProxyType(dict(self._since()))

    @property
    def released(self) -> Mapping[str, int]:
        """From when on rows of a tracker may be kept, epoch ms, by serial number; none of one that is not here."""
        return self._released

    def is_released(self, serial_number: str) -> bool:
        """Whether the athlete who wears a tracker may be shown now."""
        return serial_number in self._released

    async def changed(self, since: int) -> int:
        """Wait until `revision` is another than ``since``, and give it."""
        while self.revision == since:
            await self._changed.wait()
        return self.revision

    async def load(self) -> None:
        """Read the store; where that fails nobody is released until it succeeds."""
        opening = self._store.openings
        await self._tombstones.load()
        try:
            kept = await self._store.read(load)
        except StoreError as error:
            text = "The athletes' releases cannot be read, and nobody is shown without"
            self._problems.report(_UNREAD, text, error.action)
            return
        self._problems.resolve(_UNREAD)
        self._opening, self._saved = opening, kept
        withdrawn = {it for it in kept.releases if it in self._withdrawn or it in self._tombstones}
        self._releases = {athlete: it for athlete, it in kept.releases.items() if athlete not in withdrawn}
        wearers = dict(kept.wearers)
        for serial, subject in self._subjects.items():
            known = wearers.get(serial)
            if known is None:
                wearers[serial] = Wearer(subject, 0)
            elif known.athlete != subject:
                wearers[serial] = Wearer(subject, None)
        self._wearers = wearers
        self._announce()

    async def give(self, athletes: Iterable[str], basis: str, by: Caller) -> ReleasesReport:
        """Release athletes: all of them or none.

        Args:
            athletes: Their names, or `ALL`.
            basis: On what ground.
            by: Who gives it.

        Raises:
            AccessError: If it cannot be given, or cannot be kept.
        """
        basis = basis.strip()
        if not basis or len(basis) > MAX_BASIS or not basis.isprintable():
            raise AccessError(
                AccessCode.BAD_REQUEST,
                f"A release needs its basis, in at most {MAX_BASIS} characters on one line: "
                'say on what ground it is given, such as "signed consent".',
            )
        now_ms, reference_ms = self._utc_ms(), self._reference_ms()
        given = {}
        for athlete in self._named(athletes):
            before = self._releases.get(athlete)
            given[athlete] = Release(reference_ms if before is None else before.since_ms, now_ms, basis, by.person)
        if self._saved is None:
            raise AccessError(
                AccessCode.STORE_FAILED, "No release can be given while the disk cannot be read: see what `watch` says."
            )
        self._given |= given
        try:
            await self._save(Kept({**self._releases, **given}, self._wearers), lambda: self._take(given, by))
        except StoreError as error:
            for athlete in given:
                self._given.pop(athlete, None)
            self._note_all(by, "release given", given, "failed")
            raise AccessError(
                AccessCode.STORE_FAILED, f"No release was given, because it could not be kept: {error}."
            ) from None
        return self.report()

    async def withdraw(self, athletes: Iterable[str], by: Caller) -> ReleasesReport:
        """Take releases back; it counts at once, even if the disk does not keep it yet.

        Args:
            athletes: Their names, or `ALL`.
            by: Who takes them back.

        Raises:
            AccessError: If an athlete is not known, or releases do not count here.
        """
        if not self.is_required:
            raise AccessError(
                AccessCode.RELEASES_OFF,
                "Everybody is shown here, because the configuration asks for no release: "
                "set require_release = true in [access], and restart the gateway.",
            )
        withdrawn = self._named(athletes)
        for athlete in withdrawn:
            self._releases.pop(athlete, None)
            self._given.pop(athlete, None)
        if self._saved is None:
            self._withdrawn |= set(withdrawn)
        self._announce()
        self._note_all(by, "release withdrawn", withdrawn)
        await self._keep()
        return self.report()

    def report(self) -> ReleasesReport:
        """How all athletes stand."""
        trackers: dict[str, list[str]] = defaultdict(list)
        for serial, subject in self._subjects.items():
            trackers[subject].append(serial)
        has_trouble = self._saved is None or self._has_failed
        trouble = "The disk does not keep the releases now: see what `watch` says." if has_trouble else None
        return ReleasesReport(
            self.is_required,
            tuple(reported(athlete, worn, self._releases.get(athlete)) for athlete, worn in trackers.items()),
            trouble,
        )

    async def run(self) -> None:
        """Date what waits for the time, and bring what is not on the disk there, until cancelled."""
        now = asyncio.get_running_loop().time
        mend_s = now() + _MEND_S
        while True:
            self.date()
            if now() >= mend_s and self._store.trouble is not None:
                await self._store.mend()
                mend_s = now() + _MEND_S
            if self._saved is None and self._store.trouble is None:
                await self.load()
            await self._keep()
            self._tell_emptiness()
            await asyncio.sleep(_TURN_S)

    def date(self) -> None:
        """Let begin what waits for the time to be known."""
        reference_ms = self._reference_ms()
        if reference_ms is None:
            return
        releases = {athlete: dated(release, reference_ms) for athlete, release in self._releases.items()}
        wearers = {serial: dated(wearer, reference_ms) for serial, wearer in self._wearers.items()}
        if (releases, wearers) != (self._releases, self._wearers):
            self._releases, self._wearers = releases, wearers
            self._announce()

    def _tell_emptiness(self) -> None:
        """Say so while nobody can be shown: as it is after a first start, and without the store of the last one."""
        athletes = set(self._subjects.values())
        is_nobody = self.is_required and bool(athletes) and athletes.isdisjoint(self._releases)
        is_lost = is_nobody and bool(self._store.damage)
        if is_lost:
            text = f"The athletes' releases were lost with a damaged store, of which {self._store.damage} is left"
            action = "give them again with `insiders-gateway release give`; until then nobody is shown"
            self._problems.report(_LOST, text, action)
        else:
            self._problems.resolve(_LOST)
        if is_nobody and not is_lost and self._saved is not None:
            text = "No athlete is released, so nobody is shown"
            action = "release those who agree with `insiders-gateway release give NAME --basis TEXT`"
            self._problems.report(_NOBODY, text, action)
        else:
            self._problems.resolve(_NOBODY)

    @property
    def _is_kept(self) -> bool:
        """Whether what holds now is on the disk."""
        return self._opening == self._store.openings and self._saved == Kept(self._releases, self._wearers)

    @property
    def _taken_back(self) -> Collection[str]:
        """Whose releases are on the disk, or may be, and do not count any more."""
        return self._withdrawn if self._saved is None else self._saved.releases.keys() - self._releases.keys()

    def _named(self, athletes: Iterable[str]) -> tuple[str, ...]:
        known = dict.fromkeys(self._subjects.values())
        if athletes == ALL:
            return tuple(known)
        named = tuple(dict.fromkeys(athletes))
        if not named:
            raise AccessError(AccessCode.BAD_REQUEST, "No athlete was named: name at least one, or all of them.")
        unknown = [athlete for athlete in named if athlete not in known]
        if unknown:
            raise AccessError(
                AccessCode.UNKNOWN_ATHLETE,
                f"{len(unknown)} of the {len(named)} named athletes wear no tracker of the configuration: "
                "write each name as it stands there.",
            )
        return named

    def _note_all(self, by: Caller, deed: str, athletes: Iterable[str], outcome: str = "done") -> None:
        for athlete in athletes:
            self._audit.note(by, deed, athlete, outcome)

    def _take(self, given: Mapping[str, Release], by: Caller) -> None:
        """Let releases count that are on the disk, but for those withdrawn meanwhile; who gave them may have left."""
        for athlete, release in given.items():
            if self._given.get(athlete) is release:
                self._releases[athlete] = self._given.pop(athlete)
                self._audit.note(by, "release given", athlete)
        self._announce()

    def _since(self) -> Iterator[tuple[str, int]]:
        for serial, subject in self._subjects.items():
            worn = self._wearers[serial]
            grounds = (worn, self._releases.get(subject)) if self.is_required else (worn,)
            since_ms = [ground.since_ms for ground in grounds if ground is not None and ground.since_ms is not None]
            if len(since_ms) == len(grounds):
                yield serial, max(since_ms)

    def _announce(self) -> None:
        self._released = MappingProxyType(dict(self._since()))
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _keep(self) -> None:
        """Bring what holds now to the disk; where that fails it is tried again."""
        action = "wait; if that stays so, replace the card"
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                try:
                    if self._saved is not None and not self._is_kept:
                        await self._save(Kept(dict(self._releases), dict(self._wearers)))
                except StoreError as error:
                    action = error.action
                if self._is_kept:
                    await self._tombstones.clear()
                else:
                    await self._tombstones.add(self._taken_back)
        if self._saved is None:
            return
        self._has_failed = not self._is_kept
        if self._has_failed:
            text = "Releases were changed and the disk has not kept that, so it is forgotten if the gateway ends now"
            if all(athlete in self._tombstones for athlete in self._taken_back):
                text = "Releases were changed and the disk has not kept that; what was withdrawn stays so all the same"
            self._problems.report(_UNSAVED, text, action)
        else:
            self._problems.resolve(_UNSAVED)

    async def _save(self, kept: Kept, then: Callable[[], None] = lambda: None) -> None:
        """All of it anew, which is little: whatever the disk held before, it then holds this. Raises `StoreError`."""
        opening = self._store.openings

        def is_saved(_: None) -> None:
            self._opening, self._saved = opening, kept
            then()

        await self._store.write(lambda connection: put(connection, kept), is_saved)
