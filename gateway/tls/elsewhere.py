"""A certificate that somebody else looks after: read when its files change, never written."""

from collections.abc import Iterator, Sequence
from os import stat_result
from pathlib import Path

from gateway.tls import files
from gateway.tls.errors import CertificateError, cause
from gateway.tls.look import TOLD_AHEAD_MS, Trouble, uncovered
from gateway.tls.moment import Moment, day
from gateway.tls.pem import Leaf, read_leaf

_Seen = tuple[tuple[int, int, int], ...]


class CertificateFromElsewhere:
    """Two files. Both may change at any moment, one after the other, and be wrong in between or for good.

    All of it may wait for a disk: for a thread, one call at a time.
    """

    def __init__(self, certificate: Path, private_key: Path, names: Sequence[str]) -> None:
        """Make one that has not looked yet.

        Args:
            certificate: PEM: that of the gateway, then those between it and the authority.
            private_key: PEM, without password.
            names: That it is expected to stand for.
        """
        self._paths = (certificate, private_key)
        self._names = names
        self._seen: _Seen | None = None
        self._leaf: Leaf | None = None

    def look(self, moment: Moment) -> tuple[Leaf | None, tuple[Trouble, ...]]:
        """The last one that could be used, None if there was none since the start; and what is wrong."""
        try:
            # First: what changes while it is read is read once more.
            seen = tuple(map(_mark, (path.stat() for path in self._paths)))
            if seen != self._seen:
                leaf = read_leaf(b"\n".join(map(files.read, self._paths)))
                if not leaf.places:
                    raise CertificateError("it names no host (subjectAltName)")
                self._leaf, self._seen = leaf, seen
        except (OSError, CertificateError) as error:
            return self._leaf, (self._unusable(error),)
        return self._leaf, () if self._leaf is None else tuple(self._troubles(self._leaf, moment))

    def _unusable(self, error: OSError | CertificateError) -> Trouble:
        meanwhile = "its own" if self._leaf is None else "the last one that was in order"
        where = f" {error.filename}:" if isinstance(error, OSError) and error.filename else ""
        return Trouble(
            "certificate_unusable",
            f"The certificate from elsewhere cannot be used:{where} {cause(error)}; the gateway serves {meanwhile}",
            "Let [live] certificate name a PEM file with the whole chain, and private_key its key without password, "
            "both readable by the service.",
        )

    def _troubles(self, leaf: Leaf, moment: Moment) -> Iterator[Trouble]:
        for name in uncovered(leaf, self._names):
            yield Trouble(
                "name_not_covered",
                f"The certificate from elsewhere does not stand for {name}, and browsers warn there",
                "Get one that does, or take the name out of [live] names.",
                name,
            )
        if moment.ms >= leaf.not_after_ms:
            when = f"has expired on {day(leaf.not_after_ms)}"
        elif moment.ms < leaf.not_before_ms:
            when = f"is valid only from {day(leaf.not_before_ms)}, by the clock here"
        elif moment.ms >= leaf.not_after_ms - TOLD_AHEAD_MS:
            when = f"expires on {day(leaf.not_after_ms)}"
        else:
            return
        yield Trouble(
            "certificate_expiring",
            f"The certificate from elsewhere {when}",
            "See why it is not renewed: the gateway takes the new files as soon as they are there.",
        )


def _mark(status: stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino
