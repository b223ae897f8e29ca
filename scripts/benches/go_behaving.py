"""A wesher without what the Go program has not; run by the script go-behaving."""

import os
import sys

from wesher.__main__ import start
from wesher.base.frozen import replace
from wesher.mesh.base.metadata import Metadata, MetadataFormat, encode_metadata
from wesher.mesh.planning import overlay
from wesher.system import device


def _without_ext(metadata: Metadata, metadata_format: MetadataFormat) -> bytes:
    return encode_metadata(replace(metadata, has_ext=False), metadata_format)


def _unsigned(encoded: bytes, *_: object) -> bytes:
    return encoded


def _nobody(*_: object) -> None:
    pass


if __name__ == "__main__":
    # Set from outside: the agent has no option to be less than it is.
    vars(overlay)["encode_metadata"] = _without_ext
    vars(overlay)["sign_metadata"] = _unsigned  # the signature would be the end of Ext
    vars(device)["greet"] = _nobody
    os.environ["WESHER_PSK"] = "off"
    sys.exit(start())
