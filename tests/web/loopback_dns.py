"""A name server on loopback that answers what a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rrset


@contextmanager
def name_server(
    answers: Mapping[tuple[str, str], str | None], *, of_a_closed_network: bool = False
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """(port, questions as they came) of a server of (name, kind) -> record; None: no answer at all; unknown: NXDOMAIN.

    A name that is known with another kind has no record of the asked one. That of a closed network does not know what
    the world has, such as ``com``.
    """
    if not of_a_closed_network:
        answers = {("com", "SOA"): "a.gtld.example. hostmaster.example. 1 1800 900 604800 900", **answers}
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    asked: list[tuple[str, str]] = []

    def serve() -> None:
        while True:
            try:
                data, client = bound.recvfrom(4096)
            except OSError:
                return
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            key = (question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype))
            asked.append(key)
            reply = dns.message.make_response(query)
            if key in answers:
                record = answers[key]
                if record is None:
                    continue
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", key[1], record))
            elif key[0] not in {name for name, _ in answers}:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            bound.sendto(reply.to_wire(), client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield bound.getsockname()[1], asked
    finally:
        bound.sendto(b"", bound.getsockname())
        thread.join(60)
        bound.close()
