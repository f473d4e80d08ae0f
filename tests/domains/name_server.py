"""A name server on loopback that knows what a test puts there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class Late:
    """An answer that is said as soon as it is asked for, and arrives when it goes."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    goes: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """`refuses`: it answers that it cannot say. `holds`: what it says to the next question is late. Texts longer than
    a record's part are cut into several."""

    port: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)
    refuses: bool = False
    holds: Late | None = None
    asked: list[str] = field(default_factory=list)
    _transport: Any = None
    _late: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        answer, late = self._answer(dns.message.from_wire(data)).to_wire(), self.holds
        self.holds = None
        if late is None:
            self._transport.sendto(answer, peer)
        else:
            late.asked.set()
            self._late = asyncio.create_task(self._send_late(late, answer, peer))

    async def _send_late(self, late: Late, answer: bytes, peer: Any) -> None:
        await late.goes.wait()
        self._transport.sendto(answer, peer)

    def put(self, place: str, value: str) -> None:
        self.texts.setdefault(place, []).append(value)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        name = question.question[0].name
        self.asked.append(name.to_text(omit_final_dot=True))
        found = self.texts.get(self.asked[-1], [])
        if self.refuses:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif not found:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.question[0].rdtype == dns.rdatatype.TXT:
            written = [" ".join(f'"{part}"' for part in (text[:20], text[20:])) for text in found]
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *written))
        return answer


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    made = NameServer()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=("127.0.0.1", 0))
    made.port = transport.get_extra_info("sockname")[1]
    try:
        yield made
    finally:
        transport.close()
