"""`python -m mnetdsl.backends.iree.worker`: runs one module on behalf of `remote.RemoteSession`."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from mnetdsl.backends.iree.session import Session, SessionError
from mnetdsl.backends.iree.wire import arrays_of, receive, send, send_arrays


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers until `requests` ends: the first message holds the module, each other one a call."""
    header, (vmfb,) = receive(requests)
    try:
        session = Session(vmfb, header["function"], header["driver"])
    except SessionError as problem:
        send(replies, {"stage": problem.stage, "detail": problem.detail})
        return
    send(replies, {"device": session.device})
    while True:
        try:
            header, blobs = receive(requests)
        except EOFError:
            return
        outputs = [(tuple(shape), dtype) for shape, dtype in header["outputs"]]
        try:
            results = session.call(arrays_of(header, blobs), outputs)
        except SessionError as problem:
            send(replies, {"stage": problem.stage, "detail": problem.detail})
        else:
            send_arrays(replies, {}, results)


def main() -> None:
    # Drivers print where they like: what they write to stdout must not reach the replies.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
