"""The club's authority and the certificate that it has signed for this gateway: two files, and what becomes of them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from gateway.tls import files
from gateway.tls.errors import AuthorityRefusedError, CertificateError, cause
from gateway.tls.issuing import make_authority, make_leaf
from gateway.tls.look import AUTHORITY_TOLD_AHEAD_MS, Look, Trouble, is_due, uncovered
from gateway.tls.moment import Moment, day
from gateway.tls.pem import Authority, Leaf, read_authority, read_leaf


class OwnCertificate:
    """Reads, makes and renews them; each file holds a certificate with its key, so that no two can be of two times.

    All of it may wait for a disk: for a thread, one call at a time.

    Attributes:
        authority: The club's; None if there is none yet, or it is damaged.
    """

    def __init__(self, folder: Path, site: str, places: Callable[[], frozenset[str]]) -> None:
        """Make one that knows nothing yet.

        Args:
            folder: Where the two files are.
            site: The name of the place, for a new authority.
            places: Names and addresses under which the gateway is reached now.
        """
        self.authority: Authority | None = None
        self._leaf: Leaf | None = None
        self._folder = folder
        self._authority_file = folder / "authority.pem"
        self._damaged_file = folder / "authority.damaged.pem"
        self._leaf_file = folder / "leaf.pem"
        self._site = site
        self._places = places
        self._tried: frozenset[str] = frozenset()
        self._damage: str | None = None
        self._is_put_aside = False
        self._unwritten: dict[Path, bytes] = {}

    def read(self) -> None:
        """Take what the folder holds; nothing in it can be so bad that the gateway does not start."""
        for path, mode in ((self._folder, 0o700), (self._authority_file, 0o600), (self._leaf_file, 0o600)):
            with suppress(OSError):  # whoever has put a backup back did not think of it
                path.chmod(mode)
        try:
            self.authority = read_authority(files.read(self._authority_file))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, CertificateError) as error:
            self._damage = cause(error)
        with suppress(OSError):
            self._is_put_aside = self._damaged_file.exists()
        with suppress(OSError, CertificateError):
            self._leaf = read_leaf(files.read(self._leaf_file), self.authority)

    def look(self, moment: Moment) -> Look:
        """The certificate for now: makes what is missing, renews what is due, writes what could not be written."""
        places = self._places()
        leaf = self._leaf
        if leaf is None or self._is_due(leaf, places, moment):
            leaf = self._renewed(places, moment)
        return self._found(leaf, places, moment)

    def replace_authority(self, pem: bytes | None, moment: Moment) -> Look:
        """Go on with another authority.

        Args:
            pem: Its certificate and key; None for a new one.
            moment: When.

        Raises:
            AuthorityRefusedError: If it cannot sign for this gateway, or cannot be kept; nothing has changed then.
        """
        places = self._places()
        try:
            authority = make_authority(self._site, places, moment) if pem is None else read_authority(pem)
            leaf = make_leaf(authority, places, moment)
        except CertificateError as error:
            raise AuthorityRefusedError(
                "bad_authority",
                f"The authority is not taken, because {error}. "
                "Give the file that `insiders-gateway tls export --with-key` has written.",
            ) from None
        try:
            files.replace(self._authority_file, authority.pem)
            self._damaged_file.unlink(missing_ok=True)
        except OSError as error:
            raise AuthorityRefusedError(
                "disk_failed",
                f"The authority cannot be kept ({cause(error)}): make room on the disk, and try again.",
            ) from None
        self.authority, self._damage, self._is_put_aside = authority, None, False
        self._unwritten.clear()
        self._serve(leaf, places)
        return self._found(leaf, places, moment)

    def _is_due(self, leaf: Leaf, places: frozenset[str], moment: Moment) -> bool:
        if self._damage is not None:
            # Laptops trust what the damaged one has signed, and nothing that another signs.
            return moment.ms >= leaf.not_after_ms
        if self.authority is None:
            return True
        # What it may not sign now, it may not sign a moment later.
        return is_due(leaf, frozenset() if places == self._tried else places, moment)

    def _renewed(self, places: frozenset[str], moment: Moment) -> Leaf:
        if self.authority is not None:
            try:
                return self._serve(make_leaf(self.authority, places, moment), places)
            except CertificateError as error:
                self.authority, self._damage = None, str(error)
                if self._leaf is not None and moment.ms < self._leaf.not_after_ms:
                    return self._leaf
        self.authority = make_authority(self._site, places, moment)
        self._is_put_aside, self._damage = self._is_put_aside or self._damage is not None, None
        self._unwritten[self._authority_file] = self.authority.pem
        return self._serve(make_leaf(self.authority, places, moment), places)

    def _serve(self, leaf: Leaf, places: frozenset[str]) -> Leaf:
        self._leaf, self._tried = leaf, places
        self._unwritten[self._leaf_file] = leaf.pem
        return leaf

    def _found(self, leaf: Leaf, places: frozenset[str], moment: Moment) -> Look:
        write_troubles = list(self._written())
        return Look(
            leaf, self.authority, is_own=True, troubles=(*self._troubles(leaf, places, moment), *write_troubles)
        )

    def _written(self) -> Iterator[Trouble]:
        try:
            for path, content in list(self._unwritten.items()):
                if path == self._authority_file and path.exists():
                    path.rename(self._damaged_file)  # somebody may still repair it
                files.replace(path, content)
                del self._unwritten[path]
        except OSError as error:
            yield Trouble(
                "certificate_not_kept",
                f"The gateway's certificate cannot be written to the disk ({cause(error)})",
                "Make room on the disk, or replace it: after a restart laptops would not know the gateway.",
            )

    def _troubles(self, leaf: Leaf, places: frozenset[str], moment: Moment) -> Iterator[Trouble]:
        # Names without a dot are a machine's own word for itself, which another gateway's authority need not know.
        for name in sorted(uncovered(leaf, (place for place in places if "." in place))):
            yield Trouble(
                "name_not_covered",
                f"The club's authority may not sign for {name}, and browsers warn there",
                "Use another name, or make a new authority with `insiders-gateway tls init --new` and install it on "
                "every laptop.",
                name,
            )
        if self._damage is not None or self._is_put_aside:
            yield Trouble(
                "authority_damaged",
                "The club's authority was damaged, and there is a new one that no laptop knows"
                if self._damage is None
                else f"The club's authority cannot be used ({self._damage}), only what it has signed, until "
                f"{day(leaf.not_after_ms)}",
                "Give it back with `insiders-gateway tls init --authority FILE`, from what was exported with its key, "
                "or make a new one with `insiders-gateway tls init --new` and install it on every laptop.",
            )
        elif self.authority is not None and moment.ms > self.authority.not_after_ms - AUTHORITY_TOLD_AHEAD_MS:
            yield Trouble(
                "authority_expiring",
                f"The club's authority is valid until {day(self.authority.not_after_ms)}",
                "Make a new one with `insiders-gateway tls init --new`, and install it on every laptop.",
            )
