"""The document of all that is said on the websocket, in AsyncAPI 3.0."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from description import samples, spoken, states
from description.schemas import Schema, Schemas, in_draft_7
from gateway.live.requests import Ack, Auth, Sub, Unsub
from insiders_codecs.live import Codec

_PATH = "/api/v1/stream"


@dataclass(frozen=True, slots=True)
class Said:
    """A message.

    Attributes:
        op: Its `op`.
        summary: What it is, one sentence.
        forms: It has one of these.
    """

    op: str
    summary: str
    forms: tuple[type[Struct], ...]


HEARD = (
    Said("sub", "Ask for samples.", (Sub,)),
    Said("unsub", "End a subscription.", (Unsub,)),
    Said("ack", "Say what you have dealt with.", (Ack,)),
    Said("auth", "Show a credential: at once where none came with the handshake, or a new one in time.", (Auth,)),
)
"""From the client."""

_SAID = (
    Said("hello", "Who the gateway is: always first.", (spoken.Hello, spoken.HelloStranger)),
    Said("auth_ok", "You are let in.", (spoken.AuthOk,)),
    Said("auth_expiring", "You will not be let in much longer.", (spoken.AuthExpiring,)),
    Said("channels", "The trackers, and how to read their samples.", (samples.Channels,)),
    Said("sub_ok", "A subscription begins.", (samples.SubOk,)),
    Said("unsub_ok", "A subscription has ended.", (samples.UnsubOk,)),
    Said("gap", "Rows are missing, or are not any more.", (samples.TrackerGap, samples.SubscriptionGap)),
    Said("state", "How something stands; the newest with the same `key` counts.", states.STATES),
    Said("time", "What time it is, and what the gateway has.", (samples.Time,)),
    Said("error", "A message of yours cannot be met.", (spoken.Error,)),
    Said("bye", "The last message before the gateway closes.", (spoken.Bye,)),
)
_SAMPLES: Mapping[Codec, tuple[type[Struct], type[Struct]]] = {
    Codec.JSON: (samples.PastRows, samples.Rows),
    Codec.MSGPACK: (samples.PackedPastRows, samples.PackedRows),
}

SAID: Mapping[Codec, tuple[Said, ...]] = {
    codec: (
        *_SAID,
        Said("snap", "Samples of the past that was asked for.", (past,)),
        Said("d", "Samples.", (present,)),
    )
    for codec, (past, present) in _SAMPLES.items()
}
"""By subprotocol, from the gateway."""

_CONTENT_TYPES = {Codec.JSON: "application/json", Codec.MSGPACK: "application/msgpack"}
_NAMES = {Codec.JSON: "json", Codec.MSGPACK: "msgpack"}

_TEXT = """\
What is said on the websocket of a gateway; live-protocol.md says what all of it means.

The channels are one address: which one it is, the subprotocol decides. The gateway says the same in both, but for the
columns of samples. Ignore every `op`, every field and every word that you do not know: that is how it grows.

A credential comes with the handshake, as over HTTP (see openapi.json), or in an `auth` message at once after it.
"""


def asyncapi() -> Schema:
    """The document."""
    schemas = Schemas(
        said=[form for messages in SAID.values() for it in messages for form in it.forms],
        heard=[form for it in HEARD for form in it.forms],
        dialect=in_draft_7,
    )
    for it in HEARD:
        for form in it.forms:
            described = schemas.resolved(form)
            described["properties"] = {"op": {"enum": [it.op]}, **described["properties"]}
            described["required"] = ["op", *described.get("required", ())]
    server = {"host": "{host}:{port}", "pathname": "", "variables": _VARIABLES, "security": _CREDENTIALS}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Insiders Gateway", "version": "1", "description": _TEXT},
        "defaultContentType": _CONTENT_TYPES[Codec.JSON],
        "servers": {"gateway": {**server, "protocol": "wss"}, "insecure": {**server, "protocol": "ws"}},
        "channels": {_NAMES[codec]: _channel(codec, schemas) for codec in Codec},
        "operations": {
            f"{verb}_{_NAMES[codec]}": {
                "action": verb,
                "channel": {"$ref": f"#/channels/{_NAMES[codec]}"},
                "messages": [{"$ref": f"#/channels/{_NAMES[codec]}/messages/{it.op}"} for it in messages],
            }
            for codec in Codec
            for verb, messages in (("send", SAID[codec]), ("receive", HEARD))
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": schemas.components,
        },
    }


_VARIABLES = {"host": {"default": "gateway.local"}, "port": {"default": "8770"}}
_CREDENTIALS = [{"$ref": "#/components/securitySchemes/bearer"}]


def _channel(codec: Codec, schemas: Schemas) -> Schema:
    return {
        "address": _PATH,
        "title": str(codec),
        "messages": dict(_messages([*SAID[codec], *HEARD], codec, schemas)),
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": str(codec)}},
                },
                "bindingVersion": "0.1.0",
            }
        },
        "x-close-codes": {str(int(code)): text for code, text in spoken.CLOSE_CODES.items()},
    }


def _messages(messages: Iterable[Said], codec: Codec, schemas: Schemas) -> Iterable[tuple[str, Schema]]:
    for it in messages:
        forms = [schemas.of(form) for form in it.forms]
        payload = forms[0] if len(forms) == 1 else {"anyOf": forms}
        yield it.op, {"name": it.op, "summary": it.summary, "contentType": _CONTENT_TYPES[codec], "payload": payload}
