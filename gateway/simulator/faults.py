"""Every knob of the simulator: faults to inject, and one choice for each behaviour the vendor does not document.

The model is frozen and replaced as a whole: from a TOML file at the start, by a JSON merge at run time. The defaults
are a healthy cloud. A fraction is between 0 and 1 and is drawn per request, row or batch from a generator that the
simulator's seed determines.
"""

import difflib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationError

from gateway.simulator.errors import FaultsError
from gateway.simulator.upload_faults import Fraction, NotNegative, UploadFaults

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

CLOCK_ERROR_MAXIMUM_S = 4_000_000_000
"""Largest error of a tracker's clock either way, seconds; a century and more."""


_PROFILES = files("gateway.simulator") / "profiles"


class Faults(UploadFaults):
    """Fault knobs, those of uploads among them; each attribute's text gives its unit."""

    # --- every request -----------------------------------------------------------------------------------------------
    latency_ms: NotNegative = 0.0
    """Mean delay before a request is handled, milliseconds of real time."""
    latency_jitter_ms: NotNegative = 0.0
    """The delay varies evenly by up to this much either way, milliseconds."""
    error_fraction: Fraction = 0.0
    """Fraction of requests answered with `error_status` and not carried out."""
    error_status: Literal[500, 502, 503, 504] = 503
    """Status of those answers."""
    error_body: Literal["json", "html"] = "json"
    """Body of those answers: the API's own JSON, or the page of a proxy in front of it."""
    truncated_fraction: Fraction = 0.0
    """Fraction of answers cut in the middle of the body, after the request was carried out."""
    change_latency_ms: NotNegative = 0.0
    """Further delay before a change is handled, milliseconds; a change is any request to the API that does not only
    read. When a client gives up meanwhile, it is carried out all the same, and so after the client has looked."""
    lost_answer_fraction: Fraction = 0.0
    """Fraction of changes that are carried out and whose answer never comes."""
    lost_answer_form: Literal["reset", "hang", "status"] = "reset"
    """What comes in its place: a TCP reset; nothing, until the client gives up; or 504 with the page of a proxy."""
    slow_fraction: Fraction = 0.0
    """Fraction of answers whose body trickles at `slow_bytes_per_s`."""
    slow_bytes_per_s: Positive = 200.0
    """Speed of a slow body, bytes per second of real time."""
    gzip: bool = True
    """Compress bodies for clients that accept it."""
    throttle_rate_per_s: Positive = 60.0
    """Requests per second the cloud allows in the long run, over all accounts."""
    throttle_burst: Annotated[int, Field(ge=1)] = 120
    """Requests it allows at once after a rest."""
    retry_after: Literal["seconds", "date", "absent", "negative", "huge"] = "seconds"
    """What a 429 says in Retry-After: whole seconds, an HTTP date, nothing, -1, or 1000000000."""

    outage_every_s: NotNegative = 0.0
    """Time from the beginning of one outage to that of the next, seconds; 0 is never. The first begins `outage_s`
    before the simulator has run that long. With `outage_s` as long as this or longer there is nothing but outage."""
    outage_s: NotNegative = 0.0
    """Length of an outage, seconds. The control endpoints work throughout."""
    outage_form: Literal["reset", "hang", "status"] = "reset"
    """What an outage does: every request and every open stream is cut by a TCP reset; requests are accepted and never
    answered, and open streams fall silent for good without being closed; or requests are answered with 503 and open
    streams closed with code 1012."""

    # --- accounts and tokens -----------------------------------------------------------------------------------------
    token_lifetime_s: Positive = 36_000.0
    """Life of an access token, seconds."""
    refresh_rotation: bool = True
    """A refresh gives a new refresh token and ends the old one; otherwise the old one is given again."""
    bad_token_status: Literal[401, 403] = 401
    """Answer to a missing, unknown, expired or revoked access token."""

    # --- devices and ownership ---------------------------------------------------------------------------------------
    initially_owned: Annotated[int, Field(ge=0)] = 2
    """Trackers that are ours when the simulator starts, counted from the first; read once."""
    initially_foreign: Annotated[int, Field(ge=0)] = 0
    """Trackers that the other manager owns at the start, counted from the last; read once."""
    over_limit: Literal["clamp", "refuse"] = "clamp"
    """A `limit` or `size` above the maximum is lowered to it, or answered with 400."""
    release_status: Literal[200, 204] = 204
    """Answer to a successful release."""
    reclaim: Literal["keep", "new_row", "refuse"] = "keep"
    """Claiming what one owns already: nothing changes, a new ownership follows the old one, or 400."""
    partial_ownership: Literal["clip", "refuse"] = "clip"
    """History asked for a span that was owned in part: the owned part, or 403."""

    # --- data --------------------------------------------------------------------------------------------------------
    missing: Literal["absent", "null", "zero"] = "absent"
    """How a value that was not measured at a row's instant is served."""
    no_fix_fraction: Fraction = 0.0
    """Fraction of seconds without a satellite fix: position, altitude and speed are missing."""
    duplicate_fraction: Fraction = 0.0
    """Fraction of rows that stand twice in a latest-data answer, and of websocket updates sent twice."""
    unknown_field_fraction: Fraction = 0.0
    """Fraction of rows and websocket updates with fields nobody has heard of."""
    late_fraction: Fraction = 0.0
    """Fraction of one-second batches that the cloud gets late, and so out of order."""
    late_s: NotNegative = 10.0
    """A late batch is late by at least one second and up to this, seconds."""
    backlog_order: Literal["oldest_first", "newest_first", "interleaved"] = "oldest_first"
    """After a network loss: strictly in order of measurement, so that live data wait; live data at once and the
    backlog beside them from its newest end; or live data at once and the backlog from its oldest end."""
    backlog_batches_per_s: Positive = 10.0
    """Drain rate of the backlog, one-second batches per second."""

    lost_fraction: Fraction = 0.0
    """Fraction of one-second batches that never reach the cloud; nobody can repair them."""
    tracker_offline_every_s: NotNegative = 0.0
    """Each tracker loses its network once in this time, seconds, every tracker at another; 0 is never."""
    tracker_offline_s: NotNegative = 0.0
    """How long it is without network then, seconds; what it measures meanwhile comes later as a backlog."""
    clock_error_s: Annotated[int, Field(ge=-CLOCK_ERROR_MAXIMUM_S, le=CLOCK_ERROR_MAXIMUM_S)] = 0
    """By how much the clocks of some trackers are wrong, whole seconds. -619315200 is the GPS week roll-over (1024
    weeks ago), minus the present epoch seconds is 1970, 7200 a wrong time zone, 1400000000 about 2070."""
    clock_error_fraction: Fraction = 1.0
    """Fraction of trackers whose clocks are wrong by `clock_error_s`."""
    clock_error_for_s: NotNegative = 0.0
    """For how long after the start of the simulator, and after it was switched on, a tracker's clock is wrong, seconds;
    0 is for ever."""

    range_excess_rows: Annotated[int, Field(ge=0)] = 0
    """Rows that each range claims beyond those it has."""
    ranges_clipped: bool = True
    """Ranges are cut to the span asked for; otherwise each that touches it is reported whole."""
    data_order: Literal["ascending", "shuffled"] = "ascending"
    """Paged data in order of time, or with the seconds of the whole result in any order, the same on every page."""
    data_page_maximum: Annotated[int, Field(ge=1, le=25_000)] = 25_000
    """Most rows of a page of data; `over_limit` says what happens to a larger `limit`."""

    # --- Bluetooth configuration -------------------------------------------------------------------------------------
    bluetooth_patch: Literal["merge", "replace"] = "merge"
    """A change that names one pairing keeps the other, or clears it."""
    unpair: Literal["null", "empty_object", "empty_strings"] = "null"
    """The one form that clears a pairing; the other two are answered with 400."""
    bluetooth_unset: Literal["absent", "null", "empty_object", "empty_strings"] = "absent"
    """How a pairing that is not set is served."""
    bluetooth_status: str = "success"
    """The word beside the documents of an answer with status 200; it means nothing else."""
    bluetooth_echo: Literal["as_sent", "upper"] = "as_sent"
    """Addresses are served as they were sent, or in upper case."""
    bluetooth_name_maximum: Annotated[int, Field(ge=0)] = 0
    """Characters of a sensor's name that the cloud keeps, the rest is cut off when it is written; 0 is all."""
    bluetooth_rejects: Literal["nothing", "non_ascii_names", "taken_sensors", "everything"] = "nothing"
    """Pairings of the right form that are refused all the same: names with anything but printable ASCII; a sensor that
    is in the target of another tracker; or every sensor, so that only clearing goes through."""
    bluetooth_rejection_status: Literal[400, 404, 409, 422] = 400
    """Answer to those."""
    bluetooth_ignored_fraction: Fraction = 0.0
    """Fraction of changes that are answered with success and leave the target as it was."""
    bluetooth_stale_s: NotNegative = 0.0
    """For how long after a change a reader is still told the target of before, seconds; the answer to the change itself
    has the new one."""
    bluetooth_push: Literal["if_online", "kept", "ignored"] = "if_online"
    """What `immediate_sending` does: tells a tracker that is online; tells also one that is not, as soon as it is; or
    nothing, the target waits for the next start all the same."""
    bluetooth_current_names: bool = True
    """`current` has the names of the sensors, and not their addresses alone."""
    bluetooth_lag_s: NotNegative = 0.0
    """How long after a tracker has taken its target `current` tells so, seconds."""

    # --- websocket ---------------------------------------------------------------------------------------------------
    websocket_deadline_s: Positive = 3.0
    """A connection without a token message by then is closed, seconds of real time."""
    websocket_refusal_code: Annotated[int, Field(ge=1000, le=4999)] = 4003
    """Close code after a bad token, a foreign device or the deadline."""
    websocket_refusal_message: str | None = "Authorization failed"
    """The message sent before that close."""
    websocket_lifetime_s: NotNegative = 0.0
    """A connection is dropped without a close frame after this long, seconds; 0 never drops."""
    websocket_closes_on_expiry: bool = False
    """Close a connection when the token it was opened with ends."""
    websocket_silent_after_s: NotNegative = 0.0
    """A connection goes silent after this long, seconds, and stays open: no message and no close; 0 never does."""
    websocket_silent_pongs: bool = False
    """A silent connection still answers pings and closes, as a stuck program would; otherwise nothing, as behind a
    router that forgot it."""
    websocket_garbage_fraction: Fraction = 0.0
    """Fraction of updates in whose place something malformed comes: cut off, no JSON, of other types or lengths."""
    websocket_shuffle: Fraction = 0.0
    """Fraction of updates that come after the next one."""
    websocket_form: Literal["scalars", "lists"] = "scalars"
    """Values of ecg, pwr and device in an update: as they are, or each in a list of one."""
    websocket_backlog: bool = True
    """What a tracker kept while it had no network is sent to connected clients too, not only found over REST."""
    websocket_max_connections: Annotated[int, Field(ge=0)] = 0
    """Connections at a time; more are refused with `websocket_full_status`. 0 is no limit."""
    websocket_full_status: Literal[429, 503] = 503
    """Answer to a handshake above the limit; it carries no Retry-After."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the knobs of a TOML file; one that is not named keeps its default.

        Raises:
            FaultsError: If the file cannot be read, is not TOML, or has an unknown key or a wrong value.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FaultsError(f"The fault file {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise FaultsError(f"The fault file {path} is not TOML: {error}.") from error
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise FaultsError(f"The fault file {path} needs correction: {_mistakes(error, cls)}") from error

    @classmethod
    def named(cls, text: str) -> Self:
        """The knobs of a profile that comes with the simulator, or of a TOML file.

        Args:
            text: A name of `profiles()`, or a path, recognised by its ending .toml or by a slash in it.

        Raises:
            FaultsError: If there is no such profile, or for what `load` raises.
        """
        if text.endswith(".toml") or "/" in text:
            return cls.load(Path(text))
        if text not in profiles():
            raise FaultsError(
                f"There is no fault profile {text!r}: take one of {', '.join(profiles())}, or the path of a .toml file."
            )
        return cls.load(Path(str(_PROFILES / f"{text}.toml")))

    def merged(self, changes: object) -> Self:
        """These knobs with some replaced.

        Raises:
            FaultsError: If `changes` is not an object of known knobs with allowed values.
        """
        if not isinstance(changes, dict):
            raise FaultsError("The faults are changed by a JSON object of knobs.")
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise FaultsError(f"The faults were not changed: {_mistakes(error, type(self))}") from error


def profiles() -> list[str]:
    """Names of the profiles that come with the simulator."""
    return sorted(entry.name.removesuffix(".toml") for entry in _PROFILES.iterdir() if entry.name.endswith(".toml"))


def _mistakes(error: ValidationError, model: type[BaseModel]) -> str:
    sentences = []
    for mistake in error.errors():
        key = ".".join(str(part) for part in mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.0)[0]
            sentences.append(f"{key} is unknown, the nearest known knob is {nearest}.")
        else:
            sentences.append(f"{key} is {mistake['input']!r}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}.")
    return " ".join(sentences)
