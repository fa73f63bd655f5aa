"""A small HTTP server whose every answer is a function of the request; `seen` is the oracle outside the program."""

import gzip
import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Asked:
    """One request as it came: `method`, `path` with its query, `headers` (lower case), `body`."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body


class FaultyHttp:
    """`answers`: path (without query) -> bytes of a whole answer, or a function that writes to the socket itself."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Callable[[Asked, Callable[[bytes], None]], None]] = {}
        self.seen: list[Asked] = []
        self.over = threading.Event()
        self.port = 0

    def json(self, path: str, value: object, status: int = 200, headers: str = "") -> None:
        """Answer `path` with JSON."""
        self.answers[path] = reply(json.dumps(value).encode(), status, "content-type: application/json\r\n" + headers)

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def reply(body: bytes, status: int = 200, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


def zipped(body: bytes) -> bytes:
    return reply(gzip.compress(body, mtime=0), 200, "content-encoding: gzip\r\n")


@contextmanager
def serving(address: str = "127.0.0.1", port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[FaultyHttp]:
    """A server on a free port until the block ends."""
    http = FaultyHttp()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ssl.SSLError, ValueError):
                self._answer()

        def _answer(self) -> None:
            method, path, _ = self.rfile.readline().decode("latin-1").split()
            headers = {}
            while line := self.rfile.readline().decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(method, path, headers, body)
            http.seen.append(asked)
            answer = http.answers.get(path.partition("?")[0], reply(b"there is nothing", 404))
            if isinstance(answer, bytes):
                self.wfile.write(answer)
            else:
                answer(asked, self.wfile.write)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = False
        block_on_close = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that refuses our certificate

    with Server((address, port), Handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        http.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield http
        finally:
            http.over.set()
            server.shutdown()
            thread.join()
