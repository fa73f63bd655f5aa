"""The Channel port: every adapter, and SMTP against servers that fail at every stage."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from faulty_smtp import FaultySmtp

from mailwright.core.errors import InvalidInput
from mailwright.core.messages import Deferred, Envelope, Failed, Outcome, Sent, Unknown
from mailwright.core.ports import Channel
from mailwright.delivery.channels.mailbox import MailboxChannel
from mailwright.delivery.channels.smtp import SmtpChannel
from mailwright.delivery.channels.smtp_connection import SmtpConnection, SmtpSettings
from mailwright.delivery.channels.smtp_wire import StageTimeouts, wire_body
from mailwright.delivery.receiver import read_ledger, receiving

BODY = b"Message-ID: <k1@example.com>\r\nSubject: hi\r\n\r\n.one\r\n..two\r\nthree"
SHORT_GREETING = StageTimeouts(greeting_s=0.1)


def envelope(key: str = "k1", to: str = "a@example.com", body: bytes = BODY) -> Envelope:
    return Envelope(send_key=key, mail_from="shop@example.com", rcpt_to=to, body=body)


class Mark:
    """The durable mark before the dot; counts its calls."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.n = 0

    async def __call__(self) -> bool:
        self.n += 1
        return self.answer


def loopback(port: int, connections: int = 2, timeouts: StageTimeouts | None = None, **more: object) -> SmtpChannel:
    settings = {"host": "127.0.0.1", "port": port, "tls": "off", "connections": connections}
    return SmtpChannel(SmtpSettings(**{**settings, "timeouts": timeouts or StageTimeouts(), **more}))


@contextlib.asynccontextmanager
async def sending_to(server: FaultySmtp, **settings: object) -> AsyncIterator[SmtpChannel]:
    async with server.listening() as port:
        channel = loopback(port, **settings)
        yield channel
        await channel.close()


@contextlib.asynccontextmanager
async def smtp_adapter(folder: Path) -> AsyncIterator[Channel]:
    async with receiving(folder) as port:
        channel = loopback(port)
        yield channel
        await channel.close()


@contextlib.asynccontextmanager
async def mailbox_adapter(folder: Path) -> AsyncIterator[Channel]:
    channel = MailboxChannel(folder)
    yield channel
    await channel.close()


adapters = pytest.mark.parametrize("adapter", [smtp_adapter, mailbox_adapter])
Adapter = Callable[[Path], contextlib.AbstractAsyncContextManager[Channel]]


def run(work: Awaitable[object]) -> object:
    return asyncio.run(work)  # type: ignore[arg-type]


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps when told: every timeout that runs has passed, and no other needs to be short."""

    jumped_s = 0.0

    def time(self) -> float:
        return super().time() + self.jumped_s

    def jump(self) -> None:
        self.jumped_s += 100 * 3600.0


# --- every adapter ---------------------------------------------------------------------------------------------------


@adapters
def test_a_mail_arrives_whole_and_is_marked_once(adapter: Adapter, tmp_path: Path) -> None:
    mark = Mark()

    async def work() -> Outcome:
        async with adapter(tmp_path) as channel:
            return await channel.send(envelope(), mark)

    assert isinstance(run(work()), Sent)
    assert mark.n == 1
    (file,) = tmp_path.glob("*.eml")
    assert file.read_bytes().rstrip(b"\r\n") == BODY


@adapters
def test_a_lost_claim_leaves_nothing_behind(adapter: Adapter, tmp_path: Path) -> None:
    mark = Mark(answer=False)

    async def work() -> tuple[Outcome, Outcome]:
        async with adapter(tmp_path) as channel:
            return await channel.send(envelope(), mark), await channel.send(envelope("k2"), Mark())

    lost, next_one = run(work())
    assert isinstance(lost, Deferred)
    assert isinstance(next_one, Sent)
    assert mark.n == 1
    assert len(list(tmp_path.glob("*.eml"))) == 1
    assert not list(tmp_path.glob("*.tmp"))


@adapters
def test_many_at_once_all_arrive_once(adapter: Adapter, tmp_path: Path) -> None:
    async def work() -> list[Outcome]:
        async with adapter(tmp_path) as channel:
            mails = [envelope(f"k{n}", body=BODY.replace(b"k1@", b"k%d@" % n)) for n in range(40)]
            return await asyncio.gather(*(channel.send(mail, Mark()) for mail in mails))

    assert all(isinstance(outcome, Sent) for outcome in run(work()))
    assert len(list(tmp_path.glob("*.eml"))) == 40


# --- SMTP: the stage decides the class -------------------------------------------------------------------------------

BEFORE = ["greeting", "ehlo", "mail", "rcpt", "data"]
ABOUT_THE_MAIL = ["mail", "rcpt", "data", "final"]
CASES = [
    *[(stage, code, Deferred, 0) for stage in BEFORE for code in ("421 later", "450 no")],
    *[("final", code, Deferred, 1) for code in ("421 later", "450 no")],
    *[(stage, "550 no", Failed, int(stage == "final")) for stage in ABOUT_THE_MAIL],
    *[(stage, "550 no", Deferred, 0) for stage in ("greeting", "ehlo")],
    *[(stage, fault, Deferred, 0) for stage in BEFORE for fault in ("hang", "drop", "half", "hello", "250-x\r\n251 y")],
    *[("final", fault, Unknown, 1) for fault in ("hang", "drop", "half", "hello", "250-x\r\n251 y", "354 what")],
    ("body", "drop", Deferred, 0),
    ("data", "250 what", Deferred, 0),
]  # fmt: skip


KEPT = [(*case, 1) for case in CASES if case[0] not in ("greeting", "ehlo")]  # a kept connection is greeted once


@pytest.mark.parametrize(("stage", "fault", "expected", "n_taken", "after"), [*((*case, 0) for case in CASES), *KEPT])
def test_class_of_a_fault(stage: str, fault: str, expected: type, n_taken: int, after: int) -> None:
    loop = JumpingLoop()
    server, mark = FaultySmtp({stage: fault}, after=after, hangs=loop.jump), Mark()
    # Whoever connects may be greeted, or not, before waiting for it: that timeout may not have begun at the jump.
    timeouts = SHORT_GREETING if (stage, fault) == ("greeting", "hang") else None
    body = BODY + b"\r\n" + b"x" * 16_000_000 if stage == "body" else BODY

    async def work() -> Outcome:
        async with sending_to(server, connections=1, timeouts=timeouts) as channel:
            for _ in range(after):
                assert isinstance(await channel.send(envelope(), Mark()), Sent)
            return await channel.send(envelope(body=body), mark)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        outcome = runner.run(work())
    if after and stage == "mail" and fault in ("hang", "drop", "half", "hello", "250-x\r\n251 y"):
        assert isinstance(outcome, Sent)  # taken for a dead connection; a new one counts its mails from 0
        return
    assert type(outcome) is expected, outcome
    assert len(server.taken) == n_taken + after
    assert mark.n == (1 if stage == "final" else 0)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        mark = Mark()
        outcome = run(loopback(port).send(envelope(), mark))
    assert isinstance(outcome, Deferred)
    assert outcome.reply.startswith("connect:")
    assert mark.n == 0


def test_the_dot_waits_for_the_mark() -> None:
    server = FaultySmtp({})

    async def work() -> tuple[int, int]:
        asked, go = asyncio.Event(), asyncio.Event()

        async def mark() -> bool:
            asked.set()
            await go.wait()
            return True

        async with sending_to(server) as channel:
            sending = asyncio.create_task(channel.send(envelope(), mark))
            await asked.wait()
            before = len(server.taken)
            go.set()
            await sending
            return before, len(server.taken)

    assert run(work()) == (0, 1)


def test_a_hang_up_while_the_mark_is_made_is_still_definite(monkeypatch: pytest.MonkeyPatch) -> None:
    server, opened, open_one = FaultySmtp({"body": "drop"}), [], SmtpConnection.open

    async def opening(*args: object) -> SmtpConnection:
        opened.append(await open_one(*args))  # type: ignore[arg-type]
        return opened[-1]

    monkeypatch.setattr(SmtpConnection, "open", opening)

    async def work() -> Outcome:
        async with sending_to(server) as channel:

            async def mark() -> bool:
                async with asyncio.timeout(60):
                    while not opened[0].is_lost:
                        await asyncio.sleep(0.001)
                return True

            return await channel.send(envelope(), mark)

    assert isinstance(run(work()), Deferred)
    assert server.taken == []


def test_connections_are_kept_and_bounded() -> None:
    server = FaultySmtp({})

    async def work() -> None:
        async with sending_to(server, connections=3) as channel:
            await asyncio.gather(*(channel.send(envelope(f"k{n}"), Mark()) for n in range(30)))

    run(work())
    assert len(server.taken) == 30
    assert server.n_connections == 3


def test_a_connection_is_replaced_after_its_share() -> None:
    server = FaultySmtp({})

    async def work() -> None:
        async with sending_to(server, connections=1, mails_per_connection=4) as channel:
            for n in range(10):
                await channel.send(envelope(f"k{n}"), Mark())

    run(work())
    assert server.n_connections == 3


def test_after_a_refused_recipient_the_connection_is_reset_and_kept() -> None:
    server = FaultySmtp({})

    async def work() -> list[Outcome]:
        async with sending_to(server, connections=1) as channel:
            server.faults["rcpt"] = "550 unknown"
            first = await channel.send(envelope(), Mark())
            del server.faults["rcpt"]
            second = await channel.send(envelope(), Mark())
            return [first, second]

    first, second = run(work())
    assert isinstance(first, Failed)
    assert isinstance(second, Sent)
    assert server.n_connections == 1
    assert [line.split()[0] for line in server.commands] == [
        "EHLO",
        "MAIL",
        "RCPT",
        "RSET",
        "MAIL",
        "RCPT",
        "DATA",
        "QUIT",
    ]


# --- what may be said on the wire ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "offers", "expected"),
    [
        ("jürgen@example.com", "250 SIZE 0", Failed),
        ("jürgen@example.com", "250-8BITMIME\r\n250 SMTPUTF8", Sent),
        ("a@bücher.example", "250 SIZE 0", Sent),
        ("a@example.com>\r\nRCPT TO:<b@example.com", "250 SIZE 0", Failed),
        ("a b@example.com", "250 SIZE 0", Failed),
        ("a\x00@example.com", "250 SIZE 0", Failed),
        ("nobody", "250 SIZE 0", Failed),
        ("a@exa..mple.dé", "250 SIZE 0", Failed),
        ("a@example.com", "250 SIZE 10", Failed),
    ],
)
def test_addresses(to: str, offers: str, expected: type) -> None:
    server = FaultySmtp({}, offers=offers)

    async def work() -> Outcome:
        async with sending_to(server) as channel:
            return await channel.send(envelope(to=to), Mark())

    assert type(run(work())) is expected
    assert len(server.taken) == (expected is Sent)
    recipients = [line for line in server.commands if line.startswith("RCPT")]
    assert len(recipients) == (expected is Sent)
    if to == "a@bücher.example":
        assert recipients == ["RCPT TO:<a@xn--bcher-kva.example>"]


def test_eight_bit_text_needs_an_offer() -> None:
    async def work(offers: str) -> Outcome:
        server = FaultySmtp({}, offers=offers)
        async with sending_to(server) as channel:
            return await channel.send(envelope(body="Subject: é\r\n\r\né".encode()), Mark())

    assert isinstance(run(work("250 SIZE 0")), Failed)
    assert isinstance(run(work("250 8BITMIME")), Sent)


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (b"", b"\r\n"),
        (b"a", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\n.b\r.\n", b"a\r\n..b\r\n..\r\n"),
        (b"a.b\r\n..\r\n", b"a.b\r\n...\r\n"),
        (b"\r\r\n\n", b"\r\n\r\n\r\n"),
    ],
)
def test_bytes_on_the_wire(body: bytes, wire: bytes) -> None:
    assert wire_body(body) == wire


@pytest.mark.parametrize(
    "smuggled", [b"x\n.\nMAIL FROM:<e@example.com>\n", b"x\r.\r\nMAIL", b"x\r\n.\rMAIL", b".\r\n.\r\n", b"x\n.\r\ny"]
)
def test_a_body_cannot_end_itself(smuggled: bytes, tmp_path: Path) -> None:
    async def work() -> Outcome:
        async with receiving(tmp_path) as port:
            channel = loopback(port)
            outcome = await channel.send(envelope(body=BODY + b"\r\n" + smuggled), Mark())
            await channel.close()
            return outcome

    assert isinstance(run(work()), Sent)
    (file,) = tmp_path.glob("*.eml")
    got = file.read_bytes()
    normal = (BODY + b"\r\n" + smuggled).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert got.rstrip(b"\r\n") == normal.rstrip(b"\r\n")


# --- TLS and log-in --------------------------------------------------------------------------------------------------


def test_tls_off_is_for_this_machine_alone() -> None:
    with pytest.raises(InvalidInput, match="not this machine"):
        SmtpChannel(SmtpSettings(host="mail.example.com", tls="off"))


@pytest.mark.parametrize("username", ["", "u"])
def test_required_tls_without_an_offer_sends_nothing(username: str) -> None:
    server = FaultySmtp({}, offers="250 AUTH PLAIN LOGIN")

    async def work() -> Outcome:
        async with sending_to(server, tls="required", username=username, password="secret") as channel:
            return await channel.send(envelope(), Mark())

    assert isinstance(run(work()), Deferred)
    assert [line.split()[0] for line in server.commands] == ["EHLO"]


def test_no_password_without_tls() -> None:
    server = FaultySmtp({}, offers="250 AUTH PLAIN LOGIN")

    async def work() -> Outcome:
        async with sending_to(server, tls="opportunistic", username="u", password="secret") as channel:
            return await channel.send(envelope(), Mark())

    assert isinstance(run(work()), Deferred)
    assert not any("AUTH" in line for line in server.commands)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


class Taker:
    """An aiosmtpd handler that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.log_ins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        self.mails.append(envelope.original_content)
        return "250 taken"

    def log_in(self, server: object, session: object, envelope: object, mechanism: str, data: object) -> object:
        from aiosmtpd.smtp import AuthResult

        self.log_ins.append((data.login, data.password))
        return AuthResult(success=(data.login, data.password) == (b"u", b"secret"), handled=False)


@pytest.mark.parametrize(
    ("tls", "host", "trusted", "password", "expected"),
    [
        ("required", "localhost", True, "secret", Sent),
        ("required", "localhost", False, "secret", Deferred),
        ("required", "127.0.0.1", True, "secret", Deferred),
        ("opportunistic", "127.0.0.1", False, "secret", Sent),
        ("required", "localhost", True, "wrong", Deferred),
    ],
    ids=["verified", "untrusted", "wrong name", "opportunistic", "wrong password"],
)
def test_tls_policy(
    tls: str, host: str, trusted: bool, password: str, expected: type, certificate: tuple[Path, Path]
) -> None:
    from aiosmtpd.smtp import SMTP

    pem, secret = certificate
    taker = Taker()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, secret)

    async def work() -> Outcome:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(taker, tls_context=context, authenticator=taker.log_in, hostname="localhost", loop=loop),
            "127.0.0.1",
            0,
        )
        settings = SmtpSettings(
            host=host, port=server.sockets[0].getsockname()[1], tls=tls, username="u", password=password,
            connections=1, ca_file=str(pem) if trusted else "", timeouts=StageTimeouts(),
        )  # fmt: skip
        channel = SmtpChannel(settings)
        outcome = await channel.send(envelope(), Mark())
        await channel.close()
        server.close()
        return outcome

    assert type(run(work())) is expected
    assert len(taker.mails) == (expected is Sent)
    if not trusted and tls == "required":
        assert taker.log_ins == []


# --- the receiving server --------------------------------------------------------------------------------------------


def test_a_mail_taken_twice_leaves_two_lines_also_over_a_restart(tmp_path: Path) -> None:
    async def once() -> None:
        async with receiving(tmp_path) as port:
            channel = loopback(port)
            await channel.send(envelope(), Mark())
            await channel.close()

    run(once())
    with (tmp_path / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b'{"n":2,"mess')  # a crash in the middle of a line: never answered
    run(once())
    lines = list(read_ledger(tmp_path))
    assert [line.n for line in lines] == [1, 2]
    assert {line.message_id for line in lines} == {"<k1@example.com>"}
    assert len({line.file for line in lines}) == 2


def test_what_cannot_be_stored_is_deferred_and_not_in_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "box"

    async def work() -> list[Outcome]:
        async with receiving(folder) as port:
            channel = loopback(port)
            folder.rename(tmp_path / "moved")
            refused = await channel.send(envelope(), Mark())
            (tmp_path / "moved").rename(folder)
            taken = await channel.send(envelope(), Mark())
            await channel.close()
            return [refused, taken]

    refused, taken = run(work())
    assert isinstance(refused, Deferred)
    assert refused.reply.startswith("final: 452")
    assert isinstance(taken, Sent)
    assert [line.n for line in read_ledger(folder)] == [1]


def test_a_mail_that_was_stored_but_never_answered_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "0000001-k1.eml").write_bytes(BODY)
    (tmp_path / "notes-of-mine.eml").write_bytes(BODY)

    async def work() -> None:
        async with receiving(tmp_path):
            pass

    run(work())
    assert [file.name for file in tmp_path.glob("*.eml")] == ["notes-of-mine.eml"]


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        async with receiving(tmp_path / "a") as port, receiving(tmp_path / "b", port=port):
            pass

    with pytest.raises(InvalidInput, match="cannot listen"):
        run(work())
