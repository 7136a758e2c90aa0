"""Commands that a person is told to type ask the gateway that told them."""

import pytest

from gateway.terminal.addressing import addressed, command, gateway_url

URL = "ws://127.0.0.1:8770/api/v1/stream"


@pytest.mark.parametrize(
    ("told", "addressed_to"),
    [
        ("type `insiders-gateway pair retry X`", "type `insiders-gateway pair retry X --url 127.0.0.1:9000`"),
        (
            "type `insiders-gateway recordings retry X`",
            "type `insiders-gateway recordings retry X --url 127.0.0.1:9000`",
        ),
        ("see `insiders-gateway scan`, or wait", "see `insiders-gateway scan 127.0.0.1:9000`, or wait"),
        ("`insiders-gateway pair list --url 1:2`", "`insiders-gateway pair list --url 1:2`"),
        ("type `bluetoothctl power on`", "type `bluetoothctl power on`"),
        ("type `insiders-gateway trackers claim X`", "type `insiders-gateway trackers claim X`"),
    ],
)
def test_a_command_that_is_told_asks_the_same_gateway_when_it_is_typed(told: str, addressed_to: str) -> None:
    url = gateway_url("9000")
    assert addressed(told, url) == addressed_to
    assert addressed(addressed_to, url) == addressed_to
    assert addressed(told, URL) == told, "the usual one needs no name"
    assert addressed(told, "wss://far/live").count("--url https://far/live") == (" retry " in told)


def test_a_command_is_told_as_it_is_typed() -> None:
    assert command("pair list", URL) == "insiders-gateway pair list"
    assert command("recordings list", gateway_url("9000")) == "insiders-gateway recordings list --url 127.0.0.1:9000"
