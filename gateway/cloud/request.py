"""One HTTP request, before it goes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from yarl import URL

from gateway.cloud.pacing import Priority
from gateway.cloud.uploading import Stream
from gateway.secret import Secret

Query = Mapping[str, int | str | Callable[[], int | str] | None]
"""Query parameters: None leaves one out, and a function is asked when the request goes out, after it has waited."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        operation: Its name in the table of endpoints.
        method: HTTP method.
        url: Where to, without its query.
        path: The path below its base URL, for error texts.
        query: Its parameters.
        headers: Beyond those every request has.
        body: What to send; a `Stream` has a connection of its own and lasts as long as it is taken.
        priority: What it is for.
        overdue_s: How long past its turn it is, seconds.
        is_live: Whether it may last `Limits.live_s` only.
        secrets: What it carries that no error may show.
    """

    operation: str
    method: str
    url: URL
    path: str
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Stream | None = None
    priority: Priority = Priority.CONTROL
    overdue_s: float = 0.0
    is_live: bool = False
    secrets: Sequence[Secret] = ()

    def complete_url(self) -> URL:
        """Where to, with its query as it is now."""
        values = {name: value() if callable(value) else value for name, value in self.query.items()}
        return self.url.with_query({name: value for name, value in values.items() if value is not None})
