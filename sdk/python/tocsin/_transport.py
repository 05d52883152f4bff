"""Where lines go: an HTTP connection that is kept, or a file that is appended to."""
import enum
import http.client
import json
import os
import ssl
from typing import Dict, Optional
from urllib.parse import quote, urlsplit

IO_TIMEOUT_S = 5.0


class Outcome(enum.Enum):
    SENT = 1
    REFUSED = 2
    NOT_NOW = 3


class Http:
    """POSTs bodies over one kept connection."""

    interval_s = 0.5
    names_run = False

    def __init__(self, url: str, run: str, token: Optional[str]):
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'url {url!r}: expected http://HOST:PORT or https://HOST:PORT')
        self._parts = parts
        self._path = (parts.path.rstrip('/') + '/api/tocsin/v1/ingest/run?format=jsonl&run=' + quote(run, safe=''))
        self._headers: Dict[str, str] = {'Content-Type': 'application/x-ndjson'}
        if token:
            self._headers['Authorization'] = 'Bearer ' + token
        self._connection: Optional[http.client.HTTPConnection] = None
        self.why = ''

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname, self._parts.port
        if self._parts.scheme == 'https':
            return http.client.HTTPSConnection(host, port or 443, timeout=IO_TIMEOUT_S, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port or 9797, timeout=IO_TIMEOUT_S)

    def _post_once(self, body: bytes) -> int:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request('POST', self._path, body, self._headers)
            answer = self._connection.getresponse()
            text = answer.read(4096)
            if answer.status >= 300:
                self.why = self._detail(answer.status, text)
            if answer.will_close or not answer.isclosed():
                self.close()
            return answer.status
        except (OSError, http.client.HTTPException) as e:
            self.why = f'{type(e).__name__}: {e}'
            self.close()
            return 0

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
