"""Whether everything is accounted for: what the cloud has, what a client was given, and what the gaps admit.

Judged from outside: on one side the simulated cloud and its trackers, on the other only what one client of the live
stream was told. A row is an instant of a tracker; a step is two neighbouring rows too far apart, with rows missing
between them.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.selection import Span
from insiders_gateway_client.messages import Message
from tests.endurance.witness import Times, Told
from tests.endurance.world import World

ROW_MS = 100
ROWS_PER_BATCH = 10
FRESH_MS = 15_000
"""What is younger than this may still be under way or in its grace."""

CACHED_S, LOOK_S = 30.0, 15.0

UNDER_WAY_ROWS = 100
_FOREVER_MS = 2**50

SWITCHED_ROWS = 20

SILENT = "device_silent"
LONGEST_LISTED = 5


@dataclass
class Account:
    """How the books of one tracker stand.

    Attributes:
        ch: Its channel.
        rows: Rows received since it became ours, once each.
        in_cloud: Rows the cloud has of the time that was observed.
        produced: Rows the tracker measured in that time, whether they reached the cloud or not.
        missing: Rows that gaps admit to be missing, by reason.
        repaired: Rows that were missing and came.
        lacking: Rows that the cloud has and the client has not.
        unfounded: Rows that are called lost and were never measured.
        wrong: What does not add up, a sentence each.
    """

    ch: int
    rows: int = 0
    in_cloud: int = 0
    produced: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    lacking: Times = field(default_factory=lambda: np.empty(0, np.int64))
    unfounded: int = 0
    wrong: list[str] = field(default_factory=list)


def accounts(world: World, since_ms: int = 0) -> list[Account]:
    """The books of every tracker, as they stand now.

    Args:
        world: What is judged.
        since_ms: Leave out what is older; an instant before which all is known to be in order.
    """
    return [_account(world, ch, told, since_ms) for ch, told in world.witness.told.items()]


def wrongs(world: World, since_ms: int = 0) -> list[str]:
    """Everything that does not add up."""
    return [f"channel {account.ch}: {wrong}" for account in accounts(world, since_ms) for wrong in account.wrong]


def assert_every_row_is_accounted_for(world: World, since_ms: int = 0) -> None:
    """Fail with a list of all that does not add up."""
    found = wrongs(world, since_ms)
    assert not found, "\n".join(["not every row is accounted for:", *found, world.story()])


def lacking(world: World) -> int:
    """Rows of the rings' span that the cloud has and the client has not: what history still has to bring."""
    since_ms = world.now_ms - world.ring_ms + 2 * 60_000
    return sum(int((account.lacking > since_ms).sum()) for account in accounts(world, since_ms))


async def settle(world: World, within_s: float = 1800.0, since_ms: int = 0) -> float:
    """Make an end of all faults, wait until what can be repaired is, and judge.

    Returns:
        Virtual seconds it took.
    """
    world.calm()
    if not world.is_up:
        await world.start()
    began_ms = world.now_ms
    await asyncio.sleep(CACHED_S)
    while (wrongs(world, since_ms) or lacking(world)) and world.now_ms < began_ms + within_s * 1000:
        await asyncio.sleep(LOOK_S)
    assert_every_row_is_accounted_for(world, since_ms)
    still = lacking(world)
    assert not still, f"{still} rows that the cloud has were not fetched within {within_s:.0f} s\n{world.story()}"
    return (world.now_ms - began_ms) / 1000


def _account(world: World, ch: int, told: Told, since_ms: int) -> Account:
    account = Account(ch)
    gaps = [gap for gap in told.gaps.values() if gap["to_ms"] is None or gap["to_ms"] > since_ms]
    # A gap that reaches over the border is judged whole.
    since_ms = min([since_ms, *(gap["from_ms"] for gap in gaps)])
    received = _within(told.t_ms(), since_ms, world.now_ms)
    account.rows = len(received)
    account.repaired = sum(gap["rows_repaired"] for gap in gaps)
    _check_received(account, world, received, told)
    gaps = sorted((gap for gap in gaps if gap["state"] != "repaired"), key=lambda gap: gap["from_ms"])
    for gap in gaps:
        if gap["state"] == "open":
            account.wrong.append(f"gap {_shown(gap)} is still open")
    gaps = [gap for gap in gaps if gap["state"] == "closed"]
    for gap in gaps:
        account.missing[gap["reason"]] += gap["rows"]
    if not len(received):
        account.wrong.append("no row was received")
        return account
    first_ms = max(since_ms, world.observed_from_ms(ch))
    last_ms = min(int(received[-1]), world.now_ms - FRESH_MS)
    in_cloud, produced = (_within(t_ms, first_ms, last_ms) for t_ms in (_in_cloud(world, ch), _produced(world, ch)))
    account.in_cloud, account.produced = len(in_cloud), len(produced)
    # A row under a wrong time came too, but is not what is missing at that time.
    misdated = np.array(told.misdated, np.int64)
    in_cloud = np.setdiff1d(in_cloud, np.setdiff1d(misdated, received))
    account.lacking = np.setdiff1d(in_cloud, received, assume_unique=True)
    _check_gaps(account, received, misdated, gaps, _elsewhere(world, ch), (first_ms, last_ms))
    _check_covered(account, "the cloud has", in_cloud, received, gaps)
    _check_covered(account, "the tracker measured", produced, received, gaps)
    silent = [gap for gap in gaps if gap["reason"] == SILENT]
    denied = account.lacking[_in_gaps(account.lacking, silent) > 0]
    if len(denied):
        account.wrong.append(f"gaps called {SILENT} hold rows that the cloud has: {_listed(denied)}")
    _check_losses(account, world, told)
    return account


def _check_received(account: Account, world: World, received: Times, told: Told) -> None:
    """What came is the cloud's, came once, and all of it came."""
    repeated = received[1:][np.diff(received) == 0]
    if len(repeated):
        account.wrong.append(f"times received twice: {_listed(repeated)}")
    if len(told.misdated) != len(set(told.misdated)):
        account.wrong.append("misdated times were received twice")
    came = np.concatenate([received, np.array(told.misdated, np.int64)])
    invented = np.setdiff1d(came, _in_cloud(world, account.ch, [(-_FOREVER_MS, _FOREVER_MS)]))
    if len(invented):
        account.wrong.append(f"rows received that the cloud does not have: {_listed(invented)}")
    newest = world.gateway.feed.channels[account.ch].ring.newest if world.is_up else told.last
    if newest - told.last > UNDER_WAY_ROWS:
        account.wrong.append(f"the gateway has row {newest}, the client is at {told.last}")


def _check_losses(account: Account, world: World, told: Told) -> None:
    """What is called lost was measured: a tracker that is switched off loses nothing."""
    missing = world.gateway.feed.channels[account.ch].gaps.totals.rows_missing if world.is_up else {}
    lost = sum(rows for reason, rows in missing.items() if reason != SILENT)
    produced = _produced(world, account.ch)
    measured = np.setdiff1d(produced[produced >= world.observed_from_ms(account.ch)], told.t_ms())
    # The second in which a tracker is switched is never whole.
    account.unfounded = max(0, lost - len(measured) - SWITCHED_ROWS * len(told.gaps))
    if account.unfounded:
        account.wrong.append(f"{lost} rows are called lost, and only {len(measured)} of the missing were measured")


def _check_covered(account: Account, whose: str, t_ms: Times, received: Times, gaps: list[Message]) -> None:
    """Each of somebody's rows was received or lies in exactly one gap."""
    absent = np.setdiff1d(t_ms, received, assume_unique=True)
    in_gaps = _in_gaps(absent, gaps)
    if (in_gaps != 1).any():
        account.wrong.append(f"rows that {whose} are neither received nor in one gap: {_listed(absent[in_gaps != 1])}")


def _check_gaps(
    account: Account, received: Times, misdated: Times, gaps: list[Message], elsewhere: list[Span], observed: Span
) -> None:
    """Each step lies in exactly one gap, and each gap admits exactly the rows that its steps lack.

    Two liberties are taken: that a tracker was somebody else's for a while may have gone unnoticed, and a time that a
    wrong clock has given to a row may pass for one that is not missing.
    """
    first_ms, last_ms = observed
    for one, next_one in pairwise(gaps):
        if next_one["from_ms"] < one["to_ms"]:
            account.wrong.append(f"gaps {_shown(one)} and {_shown(next_one)} overlap")
    # The past that a start asks for begins at an instant that has no row.
    edges = np.unique(np.concatenate([received, [gap["from_ms"] for gap in gaps]]).astype(np.int64))
    known = np.union1d(edges, _within(misdated, int(edges[0]), int(edges[-1])))
    ours = _Steps.between(known, elsewhere)
    # Nobody has promised anything about the time before, from which a wrong clock may bring rows.
    nobodys = (ours.owners(gaps) < 0) & (ours.after > first_ms) & (ours.after <= last_ms)
    if nobodys.any():
        steps = zip(ours.before[nobodys][:LONGEST_LISTED].tolist(), ours.after[nobodys].tolist(), strict=False)
        account.wrong.append(f"{nobodys.sum()} steps lie in no gap: {', '.join(f'{a}..{b}' for a, b in steps)}")
    most = np.maximum(_Steps.between(edges, []).rows_by_gap(gaps), _Steps.between(edges, elsewhere).rows_by_gap(gaps))
    least = ours.rows_by_gap(gaps)
    for place, gap in enumerate(gaps):
        if not least[place] <= gap["rows"] <= most[place]:
            account.wrong.append(
                f"gap {_shown(gap)} admits {gap['rows']} rows and lacks {least[place]} to {most[place]}"
            )


@dataclass(frozen=True)
class _Steps:
    """Two neighbouring rows each, with rows missing between them; shape (n,)."""

    before: Times
    after: Times

    @classmethod
    def between(cls, edges: Times, elsewhere: list[Span]) -> Self:
        """The steps between instants, as far as they lie outside of some spans."""
        before, after = edges[:-1], edges[1:]
        for from_ms, to_ms in elsewhere:
            cut = (before < to_ms) & (after > from_ms)
            pieces = [(before[~cut], after[~cut])]
            pieces += [(before[cut], np.minimum(after[cut], from_ms)), (np.maximum(before[cut], to_ms), after[cut])]
            before, after = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        wide = after - before > ROW_MS * 3 // 2
        return cls(before[wide], after[wide])

    def owners(self, gaps: list[Message]) -> NDArray[np.int64]:
        """Place of the gap that holds each step, -1 where none does, shape (n,)."""
        owner = np.full(len(self.before), -1)
        for place, gap in enumerate(gaps):
            owner[(self.before >= gap["from_ms"]) & (self.after <= gap["to_ms"])] = place
        return owner

    def rows_by_gap(self, gaps: list[Message]) -> NDArray[np.int64]:
        """Rows that each gap lacks, shape (gaps,)."""
        owner = self.owners(gaps)
        rows = (self.after - self.before - ROW_MS // 2 - 1) // ROW_MS  # a tracker's phase may shift by half a step
        return np.bincount(owner[owner >= 0], weights=rows[owner >= 0], minlength=len(gaps)).astype(np.int64)


def _in_gaps(t_ms: Times, gaps: list[Message]) -> NDArray[np.int64]:
    """In how many of the gaps each instant lies, shape (n,)."""
    counts = np.zeros(len(t_ms), np.int64)
    for gap in gaps:
        counts += (t_ms > gap["from_ms"]) & (t_ms < gap["to_ms"])
    return counts


def _in_cloud(world: World, ch: int, spans: list[Span] | None = None) -> Times:
    """Times of all rows of a tracker that the cloud has of some spans, those in which it was ours if none are given."""
    cloud, device_id = world.cloud, world.device_id(ch)
    chosen = cloud.selection(device_id, spans or cloud.ownerships.spans(cloud.accounts.ours.manager_id, device_id))
    return _expanded(chosen.times, chosen.low, chosen.high)


def _elsewhere(world: World, ch: int) -> list[Span]:
    """When a tracker was not ours, both ends inclusive, ascending."""
    spans = world.cloud.ownerships.spans(world.cloud.accounts.ours.manager_id, world.device_id(ch))
    edges = [-_FOREVER_MS, *(edge for from_ms, to_ms in spans for edge in (from_ms - 1, to_ms + 1)), _FOREVER_MS]
    return [(from_ms, to_ms) for from_ms, to_ms in zip(edges[::2], edges[1::2], strict=True) if from_ms <= to_ms]


def _produced(world: World, ch: int) -> Times:
    """Times of all rows that a tracker measured while it was ours and switched on, by a clock that is right."""
    cloud, device_id = world.cloud, world.device_id(ch)
    spans = cloud.ownerships.spans(cloud.accounts.ours.manager_id, device_id)
    batches = np.arange(cloud.delivery(device_id)._measured)
    measured_ms = cloud.delivery(device_id).measured_ms(batches)
    rows = _expanded(measured_ms[world.was_on(ch, measured_ms)], 0, ROWS_PER_BATCH)
    owned = np.zeros(len(rows), np.bool_)
    for from_ms, to_ms in spans:
        owned |= (rows >= from_ms) & (rows <= to_ms)
    return rows[owned]


def _expanded(times: Times, low: NDArray[np.int64] | int, high: NDArray[np.int64] | int) -> Times:
    """Times of the rows low <= row < high of batches that begin at the given times, ascending and unique."""
    rows = np.arange(ROWS_PER_BATCH)
    chosen = (rows >= np.reshape(low, (-1, 1))) & (rows < np.reshape(high, (-1, 1)))
    grid = times[:, None] + rows * ROW_MS
    return np.unique(grid[np.broadcast_to(chosen, grid.shape)])


def _within(t_ms: Times, from_ms: int, to_ms: int) -> Times:
    return t_ms[(t_ms >= from_ms) & (t_ms <= to_ms)]


def _listed(t_ms: Times) -> str:
    shown = ", ".join(str(t) for t in t_ms[:LONGEST_LISTED].tolist())
    return f"{shown}{' …' if len(t_ms) > LONGEST_LISTED else ''} ({len(t_ms)})"


def _shown(gap: Message) -> str:
    return f"{gap['id']} ({gap['from_ms']}..{gap['to_ms']}, {gap['reason']})"
