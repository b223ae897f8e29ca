"""Invitations: hosts that are let in without the cluster key in sight (decision 26).

    operator              inviting agent                     new host
       | wesher invite         |                                |
       |---------------------->| keeps id, key, expiry          |
       |<-------- TOKEN -------|                                |
       | ----------------- by hand, cloud-init, mail ---------->| wesher join TOKEN
       |                       |<-- id, ephemeral, sealed ------|
       |                       |--- ephemeral, sealed: -------->| saves the keys, and is a member
       |                       |    keys, settings, seeds       |

A token is no key of the mesh: it opens one door of one agent, for a while, so many times.
"""

from wesher.mesh.invitations.book import MAX_OPEN, Book, is_repeated, verdict
from wesher.mesh.invitations.handshake import Answering, Asking, ephemeral_of
from wesher.mesh.invitations.messages import (
    FIRST_BYTE,
    MAX_MEMBERS,
    Grant,
    Member,
    OtherVersionError,
    Reason,
    Refused,
    Request,
    open_request,
    prologue,
    read_reply,
    read_request,
    refused_plainly,
    sealed_reply,
    sealed_request,
    whole,
)
from wesher.mesh.invitations.token import (
    MAX_ADDRESSES,
    SECRET_SIZE,
    Token,
    derive,
    read_token,
    written,
)

__all__ = [
    "FIRST_BYTE",
    "MAX_ADDRESSES",
    "MAX_MEMBERS",
    "MAX_OPEN",
    "SECRET_SIZE",
    "Answering",
    "Asking",
    "Book",
    "Grant",
    "Member",
    "OtherVersionError",
    "Reason",
    "Refused",
    "Request",
    "Token",
    "derive",
    "ephemeral_of",
    "is_repeated",
    "open_request",
    "prologue",
    "read_reply",
    "read_request",
    "read_token",
    "refused_plainly",
    "sealed_reply",
    "sealed_request",
    "verdict",
    "whole",
    "written",
]
