"""A secret is itself only for who asks for it by name."""

import copy
import dataclasses
import json
import pickle
import traceback

import msgspec
import pytest

from gateway.secret import MASK, Secret

TEXT = "canary-secret-7f3a"
SECRET = Secret(TEXT)


@dataclasses.dataclass(frozen=True)
class Holder:
    secret: Secret


class Form(msgspec.Struct):
    secret: Secret


def test_who_asks_by_name_gets_it() -> None:
    assert SECRET.reveal() == TEXT


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        str(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>40}",
        f"{SECRET:>40}",
        "%s %r %a" % (SECRET, SECRET, SECRET),  # noqa: UP031 - as `logging` does it
        repr([SECRET]),
        repr({SECRET: SECRET}),
        repr(Holder(SECRET)),
        repr(dataclasses.asdict(Holder(SECRET))),
        repr(Form(SECRET)),
        str(ValueError(SECRET)),
        pickle.dumps(SECRET).decode("latin-1"),
        pickle.dumps(Holder(SECRET)).decode("latin-1"),
        repr(dir(SECRET)),
    ],
)
def test_everybody_else_gets_asterisks(shown: str) -> None:
    assert TEXT not in shown


def test_json_is_not_made_of_it() -> None:
    with pytest.raises(TypeError, match="Secret"):
        json.dumps({"secret": SECRET})
    with pytest.raises(TypeError, match="Secret"):
        msgspec.json.encode(Form(SECRET))
    with pytest.raises(TypeError, match="Secret"):
        msgspec.msgpack.encode({"secret": SECRET})


def test_a_traceback_with_local_variables_does_not_show_it() -> None:
    def fail(_secret: Secret) -> None:
        raise ValueError(_secret)

    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        fail(SECRET)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert TEXT not in "".join(told.format())


def test_it_comes_back_from_pickle_as_asterisks() -> None:
    assert pickle.loads(pickle.dumps(SECRET)).reveal() == MASK


def test_a_copy_is_worth_as_much() -> None:
    assert copy.copy(SECRET).reveal() == copy.deepcopy(SECRET).reveal() == TEXT
    assert dataclasses.asdict(Holder(SECRET))["secret"].reveal() == TEXT


def test_secrets_are_equal_by_their_text_and_to_no_text() -> None:
    assert Secret(TEXT) == SECRET
    assert len({SECRET, Secret(TEXT), Secret("other")}) == 2
    assert Secret("other") != SECRET
    assert SECRET != TEXT
    assert Secret("\udcff") == Secret("\udcff")


def test_nothing_is_false() -> None:
    assert SECRET
    assert not Secret("")
