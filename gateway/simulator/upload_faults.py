"""The knobs of uploads, of the jobs that process them, and of looking them up.

A fraction is drawn once per upload, after its body has come whole unless its text says otherwise. Where several are
drawn for one upload, the one that stands first here decides.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

RefusalStatus = Literal[0, 400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 418, 422, 429, 451, 500, 503]
Details = Literal["object", "text", "list", "nested", "huge", "null", "absent", "controls"]


class UploadFaults(BaseModel):
    """Fault knobs of uploads; each attribute's text gives its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    # --- the request -------------------------------------------------------------------------------------------------
    upload_limit_bytes: Annotated[int, Field(ge=1)] = 33_554_432
    """Largest accepted .asi file, bytes after base64; more is answered with 413."""
    upload_early_413: bool = True
    """A body that is too large by its Content-Length is refused before any of it is read; otherwise after all of it."""
    upload_needs_length: bool = True
    """An upload without Content-Length, in chunks that is, is answered with 411."""
    upload_unread: Literal["drained", "cut"] = "drained"
    """What follows an answer that is given before the body was read: the rest is read and thrown away for ten seconds;
    or the connection is closed at once, so that a client that only writes may find a reset in place of the answer."""
    upload_seconds_per_mb: NotNegative = 0.0
    """How long the cloud takes to read a million bytes of body, as they are on the wire, seconds of real time."""
    upload_cut_fraction: Fraction = 0.0
    """Fraction of uploads that are cut by a TCP reset at any point of their body, drawn when they begin; nothing is
    accepted then. The client may have sent more than the cloud has read."""
    upload_swallowed_fraction: Fraction = 0.0
    """Fraction of uploads that are read to their end and not accepted, and whose answer never comes;
    `lost_answer_form` says what comes in its place."""

    # --- its answer --------------------------------------------------------------------------------------------------
    upload_refuses: RefusalStatus = 0
    """Every upload is read and answered with this status, and not accepted; 0 refuses none."""
    upload_refuses_only: Annotated[str, Field(pattern=r"^[0-9a-f]{0,64}$")] = ""
    """`upload_refuses` is for files whose SHA-256 begins with these hexadecimal digits; "" is all."""
    upload_error_fraction: Fraction = 0.0
    """Fraction of uploads that are read and answered with `upload_error_status`, its body as `error_body` says."""
    upload_error_status: Literal[500, 502, 503, 504] = 502
    """Status of those answers."""
    upload_error_accepted_fraction: Fraction = 0.0
    """Fraction of those that were accepted all the same. With status 503 that is a lie nobody can see through."""
    upload_answer_lost_fraction: Fraction = 0.0
    """Fraction of uploads that are accepted and whose answer never comes; `lost_answer_form` says what comes in its
    place."""
    upload_html_fraction: Fraction = 0.0
    """Fraction of uploads that are accepted and answered with 200 and the page of a proxy in place of the job."""
    upload_duplicate: Literal["second_job", "same_job", "conflict"] = "second_job"
    """A file that was accepted for the same tracker before: becomes a second job, so that the cloud has it twice; is
    answered with the job that it has; or with 409."""

    # --- jobs --------------------------------------------------------------------------------------------------------
    job_delay_s: NotNegative = 3.0
    """Time from upload to the end of its job, seconds; pending for the first half, then started."""
    job_failure_fraction: Fraction = 0.0
    """Fraction of jobs that end badly."""
    job_failure_state: Literal["FAILURE", "REVOKED", "ERROR"] = "FAILURE"
    """What a bad end is called."""
    job_failure_details: Details = "object"
    """The details of a bad end: an object with a sentence; the sentence; a list of objects; objects in objects, 60
    deep; a megabyte; null; no such key; or a sentence with control characters, terminal commands and markup."""
    job_never_ends: bool = False
    """Jobs stay started for as long as this is set."""
    job_lost: bool = False
    """The cloud knows of no job for as long as this is set: 404."""
    job_unknown_state: str = ""
    """The word that is served in place of the state of every job, as long as it is set; "" is the state itself."""
    job_immediate: bool = False
    """The answer to an upload says SUCCESS, whatever its job comes to; `job_delay_s` = 0 makes that true."""

    # --- looking up --------------------------------------------------------------------------------------------------
    lookup_enabled: bool = False
    """Uploads can be looked up by their SHA-256; otherwise that path is unknown: 404 and a page. The vendor documents
    no such thing."""
    lookup_lag_s: NotNegative = 0.0
    """How long after it was accepted an upload is found, seconds."""
    lookup_filters: bool = True
    """What is found has the SHA-256 that was asked for; otherwise it is everything that was uploaded for the
    tracker."""
    lookup_error_fraction: Fraction = 0.0
    """Fraction of lookups answered with `error_status`."""
