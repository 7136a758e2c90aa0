"""One-time codes: each lets one device in, for five minutes, whatever is tried in whatever order."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from gateway.access.caller import Caller
from gateway.access.codes import LASTS_S, MAX_OPEN, Codes, Offer
from gateway.access.grants import NewGrant, digest_of
from gateway.access.roles import Role

KIM = Caller("Kim", "laptop", Role.ADMIN)


def test_codes_cannot_be_guessed() -> None:
    codes = Codes()
    made = [codes.make(NewGrant("Ada"), KIM, 0.0) for _ in range(MAX_OPEN)]
    texts = {invitation.code.reveal() for invitation in made if invitation}
    assert len(texts) == MAX_OPEN
    assert {len(text) for text in texts} == {22}
    assert "***" in repr(made[0])


def test_only_so_many_of_one_maker_are_open_at_once() -> None:
    """And they take none away from others: of the same person on another device, of another one on this machine."""
    codes = Codes()
    made = [codes.make(NewGrant("Ada"), KIM, 0.0) for _ in range(MAX_OPEN)]
    assert all(made)
    assert codes.make(NewGrant("Ada"), KIM, LASTS_S - 1) is None
    for other in (replace(KIM, grant="other"), replace(KIM, person="root")):
        assert codes.make(NewGrant("Ada"), other, LASTS_S - 1) is not None
    assert codes.make(NewGrant("Ada"), KIM, LASTS_S) is not None


def test_a_used_code_makes_room_for_another() -> None:
    codes = Codes()
    made = [codes.make(NewGrant("Ada"), KIM, 0.0) for _ in range(MAX_OPEN)]
    assert made[0] is not None
    assert codes.take(digest_of(made[0].code), 1.0) is not None
    assert codes.make(NewGrant("Ada"), KIM, 1.0) is not None


class Opening(RuleBasedStateMachine):
    """What is known of each code: until when it is good; nothing once it was taken."""

    made: Bundle[bytes] = Bundle("made")

    @initialize()
    def begin(self) -> None:
        self.codes = Codes()
        self.now_s, self.makers = 0.0, 0
        self.good: dict[bytes, Offer] = {}

    @rule(target=made, person=st.sampled_from(["Ada", "Bea"]))
    def make(self, person: str) -> bytes:
        new, self.makers = NewGrant(person), self.makers + 1
        by = replace(KIM, grant=f"{self.makers // MAX_OPEN}")
        invitation = self.codes.make(new, by, self.now_s)
        assert invitation is not None
        digest = digest_of(invitation.code)
        self.good[digest] = Offer(new, by, self.now_s + LASTS_S)
        return digest

    @rule(digest=made)
    def take(self, digest: bytes) -> None:
        assert self.codes.take(digest, self.now_s) == self._expected(digest)

    @rule(digest=consumes(made))
    def take_and_fail(self, digest: bytes) -> None:
        offer = self.codes.take(digest, self.now_s)
        assert offer == self._expected(digest)
        if offer is not None:
            self.codes.put_back(digest, offer)
            self.good[digest] = offer

    @rule(text=st.binary(max_size=32))
    def guess(self, text: bytes) -> None:
        if text not in self.good:
            assert self.codes.take(text, self.now_s) is None

    @rule(pause_s=st.floats(0, LASTS_S))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s

    @invariant()
    def nothing_piles_up(self) -> None:
        assert len(self.codes) <= len(self.good)

    def _expected(self, digest: bytes) -> Offer | None:
        offer = self.good.pop(digest, None)
        return offer if offer is not None and offer.until_s > self.now_s else None


TestOpening = Opening.TestCase
