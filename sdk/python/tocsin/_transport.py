"""Where lines go: an HTTP connection that is kept, or a file that is appended to."""
import enum
import http.client
import io
import json
import os
import socket
import ssl
from typing import Any, Optional
from urllib.parse import quote, urlsplit

IO_TIMEOUT_S = 5.0
ACCEPTED, END = b'HTTP/1.1 204 ', b'\r\n\r\n'  # the usual answer, which has no body


class Outcome(enum.Enum):
    SENT = 1
    REFUSED = 2
    NOT_NOW = 3


class _Rest(io.RawIOBase):
    """What a socket gives, after the bytes that were read of it already."""

    def __init__(self, begun: bytes, sock: socket.socket):
        self._begun, self._sock = begun, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._begun:
            return self._sock.recv_into(buffer)
        n = min(len(buffer), len(self._begun))
        buffer[:n], self._begun = self._begun[:n], self._begun[n:]
        return n

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """As http.client asks a socket for it."""
        return io.BufferedReader(self)


class Http:
    """POSTs bodies over one kept connection. What http.client does for a request and for its usual answer takes longer than all
    the rest, and the training waits for Python's lock meanwhile: so both are done here, and answers of another kind there."""

    interval_s = 0.5
    names_run = False

    def __init__(self, url: str, run: str, token: Optional[str]):
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'url {url!r}: expected http://HOST:PORT or https://HOST:PORT')
        self._is_tls = parts.scheme == 'https'
        self._host = parts.hostname
        self._port = parts.port or (443 if self._is_tls else 9797)
        path = quote(parts.path.rstrip('/'), safe="/%:@!$&'()*+,;=~") + '/api/tocsin/v1/ingest/run?format=jsonl&run='
        self._head = self._head_of(path + quote(run, safe=''), (token or '').strip())
        self._connection: Optional[http.client.HTTPConnection] = None
        self.why = ''

    def _head_of(self, path: str, token: str) -> bytes:
        """Of each request, up to its length."""
        if not token.isprintable() or not token.isascii():
            raise ValueError('the token holds characters that a header cannot')
        host = f'[{self._host}]' if ':' in self._host else self._host.encode('idna').decode()
        lines = [f'POST {path} HTTP/1.1', f'Host: {host}:{self._port}', 'Accept-Encoding: identity',
                 'Content-Type: application/x-ndjson'] + ([f'Authorization: Bearer {token}'] if token else [])
        return ('\r\n'.join(lines) + '\r\nContent-Length: ').encode('ascii')

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_tls:
            made = http.client.HTTPSConnection(self._host, self._port, timeout=IO_TIMEOUT_S, context=ssl.create_default_context())
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=IO_TIMEOUT_S)
        made.connect()
        return made

    def _post_once(self, body: bytes) -> int:
        try:
            if self._connection is None:
                self._connection = self._connect()
            sock = self._connection.sock
            sock.sendall(b'%b%d\r\n\r\n%b' % (self._head, len(body), body))
            begun = sock.recv(4096)
            is_usual = begun.startswith(ACCEPTED) and begun.find(END) == len(begun) - len(END)
            return 204 if is_usual and b'\nconnection: close' not in begun.lower() else self._odd_answer(begun, sock)
        except (OSError, http.client.HTTPException) as e:
            self.why = f'{type(e).__name__}: {e}'
            self.close()
            return 0

    def _odd_answer(self, begun: bytes, sock: Any) -> int:
        answer = http.client.HTTPResponse(_Rest(begun, sock), method='POST')  # type: ignore[arg-type]
        answer.begin()
        text = answer.read(4096)
        if answer.status >= 300:
            self.why = self._detail(answer.status, text)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer.status

    @staticmethod
    def _detail(status: int, text: bytes) -> str:
        try:
            detail = json.loads(text).get('detail', '')
        except (ValueError, AttributeError):
            detail = text[:200].decode('utf-8', 'replace')
        return f'HTTP {status}: {detail}'

    def send(self, body: bytes) -> Outcome:
        was_connected = self._connection is not None
        status = self._post_once(body)
        # The daemon may have closed an idle connection; repeating is safe, lines are numbered.
        if status == 0 and was_connected and 'timed out' not in self.why:
            status = self._post_once(body)
        if 200 <= status < 300:
            return Outcome.SENT
        if status == 0 or status in (408, 429) or status >= 500:
            return Outcome.NOT_NOW
        return Outcome.REFUSED

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class File:
    """Appends whole lines to an absolute path: each body is one write, so that a reader never sees half of one followed by
    another."""

    interval_s = 0.5
    names_run = True

    def __init__(self, path: str):
        self._path = path
        self._fd = -1
        self.why = ''

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._fd).st_size
        # A process that was killed while it wrote left half a line: ended here, it costs itself only.
        if size and os.pread(self._fd, 1, size - 1) != b'\n':
            os.write(self._fd, b'\n')

    def send(self, body: bytes) -> Outcome:
        try:
            if self._fd < 0:
                self._open()
            written = os.write(self._fd, body)
            if written < len(body):
                # A full disk cut the line: ended here, so that the next one is whole again.
                self.why = f'{self._path}: only {written} of {len(body)} bytes could be written'
                os.write(self._fd, b'\n')
                return Outcome.REFUSED
            return Outcome.SENT
        except OSError as e:
            self.why = f'{self._path}: {e.strerror}'
            self.close()
            return Outcome.NOT_NOW

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
