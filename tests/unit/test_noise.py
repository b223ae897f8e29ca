"""The handshake that the lab plays and listens to depends on the preshared key, as it must."""

import pytest
from cryptography.exceptions import InvalidTag

from tests.testbed.lab.noise import Initiator, listen, new_private, public_of, respond


@pytest.mark.parametrize("guessed", [bytes(32), bytes(range(32))])
def test_only_who_has_the_preshared_key_opens_what_was_said(guessed: bytes) -> None:
    one, other, preshared = new_private(), new_private(), new_private()
    player = Initiator(one, public_of(other), preshared)
    initiation = player.initiation()
    response = respond(initiation, other, public_of(one), preshared)
    _, session = player.finish(response)

    def overheard(preshared: bytes) -> object:
        return listen(
            initiation,
            response,
            privates=(one, other),
            ephemeral=player.ephemeral,
            preshared=preshared,
        )

    assert (len(initiation), len(response)) == (148, 92)
    assert overheard(preshared) == session
    with pytest.raises(InvalidTag):
        overheard(guessed)
