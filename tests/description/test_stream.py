"""What is said on the websocket is what docs/asyncapi.json says, in both subprotocols, in good times and in bad."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from description.asyncapi import SAID
from description.samples import SubscriptionGap, TrackerGap
from description.spoken import Hello, HelloStranger
from description.states import STATES
from gateway.access.caller import Caller, Scope
from gateway.access.errors import NotAdmittedError, Reason
from gateway.access.roles import Role
from gateway.bluetooth.publisher import Publisher
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS
from gateway.live.stream.pump import Pump
from gateway.live.stream.session import CloseCode
from gateway.live.stream.shared import Shared
from gateway.secret import Secret
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import Codec, Message
from insiders_codecs.samples import QUANTITIES, SampleBlock
from tests.description.conformance import faults_of, faults_of_message
from tests.description.daemon import asking
from tests.live.listening import Client
from tests.test_scan import ADA, LISTENING, sensor
from tests.uploads.sending.bringing import asi

NOW_MS = 1_795_300_000_000

FOR_STRANGERS = {"auth_ok", "auth_expiring"}
"""Ops that who needs no credential never hears."""


def forms_of(messages: list[Message], forms: tuple[Any, ...]) -> set[str]:
    """Which of these forms there were."""
    return {form.__name__ for form in forms if any(not faults_of(message, [form]) for message in messages)}


@pytest.mark.looptime
@pytest.mark.parametrize("codec", Codec)
async def test_all_that_a_day_brings_is_said_as_it_is_described(tmp_path: Path, codec: Codec) -> None:
    async with asking(tmp_path) as it:
        await it.ask("PUT", "/api/v1/releases", body={"athletes": "*", "basis": "consent signed"})
        await asyncio.sleep(30)
        async with it.following(codec) as say:
            await say(op="sub", sub=1, id="a", **{"from": {"last_s": 10}})
            await say(op="sub", sub=2, mode="latest", columns=["speed"], devices=[it.cloud.devices[0].serial_number])
            await say(op="sub", sub=3, columns=["altitude", "heart_rate"], **{"from": {"epoch": "x", "cursors": []}})
            await say(op="sub", sub=1)
            await say(op="unsub", sub=2, id=7)
            await say(op="auth", token="x")
            await it.ask("POST", "/api/v1/recordings?name=a.asi", status=201, body=asi(30_000))
            for faults in ({"late_fraction": 0.5, "late_s": 8.0}, {"outage_every_s": 20, "outage_s": 15}):
                it.cloud.faults = it.cloud.faults.merged(faults)
                await asyncio.sleep(20)
            await it.ask("POST", "/api/v1/releases/withdraw", body={"athletes": ["Bea Okafor"]})
            await say(op="ack", subs=[[1, 1]])  # and no more: from here on it is slow
            await asyncio.sleep(75)  # the next rows may come 15 s later, and then it takes 31 until goodbye
        assert it.said.keys() == {message.op for message in SAID[codec]} - FOR_STRANGERS
        blocks = [block for op in ("snap", "d") for message in it.said[op] for block in message["blocks"]]
        assert {name for it in blocks for name in it} == {"ch", "n0", "rows", "t0", "dt", "t", "late"}
        assert forms_of(it.said["gap"], (TrackerGap, SubscriptionGap)) == {"TrackerGap", "SubscriptionGap"}
        assert forms_of(it.said["state"], STATES) == {form.__name__ for form in STATES}


@pytest.mark.parametrize("codec", Codec)
def test_rows_with_a_wrong_time_are_told_as_it_is_described(codec: Codec) -> None:
    channel = Channel(1, Wearer("SN-1", None, None), 600)
    client = Client(replace(hub(Board()), channels={1: channel}), codec)
    client.say(op="sub", sub=1)
    channel.ring.append(SampleBlock(np.arange(3) * 100, np.full((len(QUANTITIES), 3), 1.0)), is_misdated=True)
    (rows,) = (message for message in client.wait(1.0) if message["op"] == "d")
    assert rows["blocks"][0]["misdated"] is True
    assert faults_of_message(rows, codec) == []


class Door:
    """Knows one token, whose time is nearly over."""

    caller = Caller("Kim", "laptop", Role.VIEWER, Scope(frozenset({"U19"})), "g1", NOW_MS + 30_000)
    is_out = False

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        if token.reveal() == "right":
            return self.caller
        raise NotAdmittedError(Reason.UNKNOWN)

    def holds(self, caller: Caller) -> bool:
        return not self.is_out


def hub(board: Board) -> Hub:
    return Hub({}, board, "e", "Test", "0", 60.0, lambda: NOW_MS, lambda: None)


@pytest.mark.parametrize("codec", Codec)
def test_who_has_yet_to_show_who_they_are_is_told_so_as_it_is_described(codec: Codec) -> None:
    said: list[Message] = []
    for token in ("right", "wrong", None):
        door = Door()
        client = Client(hub(Board()), codec, caller=None, pump=Pump(Shared(hub(Board()), doorkeeper=door)))
        client.say(op="sub", sub=1)
        if token is not None:
            client.say(op="auth", token=token, id=1)
        client.wait(LIMITS.auth_s + 1)
        door.is_out = True
        client.wait(5)
        said += client.heard
    assert [faults_of_message(message, codec) for message in said] == [[]] * len(said)
    assert {message["op"] for message in said} >= FOR_STRANGERS
    assert forms_of(said, (Hello, HelloStranger)) == {"Hello", "HelloStranger"}
    assert {message["code"] for message in said if message["op"] == "bye"} == {CloseCode.NOT_ADMITTED}


@pytest.mark.parametrize("codec", Codec)
def test_sensors_are_told_as_it_is_described(codec: Codec) -> None:
    board = Board()
    client, publisher = Client(hub(board), codec), Publisher(board)
    publisher.publish_radio(LISTENING)
    for sensors in ([sensor(), sensor("TICKR 8D3E", tracker=ADA)], [sensor()]):
        publisher.publish(sensors, 0.0)
        client.wait(1)
    assert [faults_of_message(message, codec) for message in client.heard] == [[]] * len(client.heard)
    states = [message for message in client.heard if message["op"] == "state"]
    assert forms_of(states, STATES) == {"RadioStateTold", "SensorState", "StateOver"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"more": 1}, "Bye: .more is in no document"),
        ({"code": 4999}, "Bye: Invalid enum value 4999 - at `$.code`"),
        ({"text": None}, "Bye: Expected `str`, got `null` - at `$.text`"),
        ({"op": "farewell"}, "no document knows the op 'farewell'"),
    ],
)
def test_what_is_not_described_is_found(change: dict[str, Any], fault: str) -> None:
    bye: Message = {"op": "bye", "code": 1012, "text": "", "retry_after_ms": 0, "resumable": True}
    assert faults_of_message(bye, Codec.JSON) == []
    assert fault in faults_of_message(bye | change, Codec.JSON)[0]
    del bye["text"]
    assert faults_of_message(bye, Codec.JSON) == ["bye: Bye: Object missing required field `text`"]
