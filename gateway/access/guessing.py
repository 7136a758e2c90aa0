"""Guessing made slow: whoever tries wrong tokens and codes waits longer each time until another one is tried.

What can be guessed has 128 bits and more, so this is no defence of a secret: it keeps a guesser from costing anything.
Whoever shows a right token meanwhile does not wait: a neighbour behind the same address has guessed nothing.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

FREE_TRIES = 5
"""Wrong ones that cost nothing: an old cookie, a code opened twice."""

LONGEST_WAIT_S = 60.0
FORGOTTEN_S = 3600.0
"""Without a wrong one for so long, an address begins anew."""

MAX_ADDRESSES = 1024
_REMEMBERED = 16
"""Wrong ones of an address that are known when they come again."""


@dataclass(slots=True)
class _Guesser:
    tries: int = 0
    last_s: float = 0.0
    wait_s: float = 0.0
    closed_until_s: float = 0.0
    seen: deque[bytes] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class Guesses:
    """The wrong attempts of each address.

    An address is taken as it stands: in IPv6 a whole team shares a network, so that one guesser would shut out all.
    A right attempt forgives nothing: who has one token may be guessing another.
    """

    def __init__(self) -> None:
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()  # last wrong attempt longest ago first

    def __len__(self) -> int:
        return len(self._guessers)

    def wait_s(self, address: str, now_s: float) -> float:
        """How long no further try is taken from an address, in seconds; 0.0 if one is."""
        guesser = self._guessers.get(address)
        return 0.0 if guesser is None else max(0.0, guesser.closed_until_s - now_s)

    def wrong(self, address: str, digest: bytes, now_s: float) -> None:
        """What came from an address was wrong; the same once more is no guess.

        Args:
            address: From where.
            digest: Of what was tried.
            now_s: Monotonic, in seconds.
        """
        self._forget(now_s)
        guesser = self._guessers.setdefault(address, _Guesser())
        if digest in guesser.seen:
            return
        self._guessers.move_to_end(address)
        guesser.seen.append(digest)
        guesser.tries += 1
        guesser.last_s = now_s
        if guesser.tries >= FREE_TRIES:
            guesser.wait_s = min(LONGEST_WAIT_S, 2 * guesser.wait_s or 1.0)
            guesser.closed_until_s = now_s + guesser.wait_s

    def _forget(self, now_s: float) -> None:
        while self._guessers:
            oldest = next(iter(self._guessers.values()))
            if len(self._guessers) < MAX_ADDRESSES and now_s - oldest.last_s < FORGOTTEN_S:
                break
            self._guessers.popitem(last=False)
