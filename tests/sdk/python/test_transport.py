"""How lines travel over HTTP: what a server sees, and answers of every kind."""
import http.server
import socket
import threading
import unittest

import sdk_test  # noqa: F401  (puts the SDK on the path)
from tocsin._transport import Http, Outcome

NO_CONTENT = b'HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n'
REFUSED = b'{"detail": "line 1: no"}'
CHUNKED = b'HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n' + REFUSED + b'\r\n0\r\n\r\n'


class Scripted:
    """A server that takes a request and gives the next answer, in pieces; None ends the connection instead."""

    def __init__(self, case, *answers):
        self.listener = socket.create_server(('127.0.0.1', 0))
        case.addCleanup(self.listener.close)
        self.answers, self.connections, self.bodies = list(answers), 0, []
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.listener.getsockname()[1]}'

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile('rb') as stream:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self.answer(connection, stream):
                    pass

    def answer(self, connection, stream):
        length = 0
        while True:
            line = stream.readline()
            if not line:
                return False
            if line.lower().startswith(b'content-length:'):
                length = int(line.split(b':')[1])
            if line == b'\r\n':
                break
        self.bodies.append(stream.read(length))
        answer = self.answers.pop(0)
        for piece in answer or ():
            connection.sendall(piece)
            threading.Event().wait(0.05 if len(answer) > 1 else 0)
        return answer is not None and b'connection: close' not in b''.join(answer).lower()


class Answers(unittest.TestCase):
    def sent(self, *answers, count=None):
        server = Scripted(self, *answers)
        transport = Http(server.url, 'run', None)
        self.addCleanup(transport.close)
        outcomes = [transport.send(b'{"step":%d}\n' % i) for i in range(count or len(answers))]
        return outcomes, server, transport

    def test_one_connection_is_kept(self):
        outcomes, server, _ = self.sent([NO_CONTENT], [NO_CONTENT], [NO_CONTENT])
        self.assertEqual(outcomes, [Outcome.SENT] * 3)
        self.assertEqual((server.connections, server.bodies), (1, [b'{"step":0}\n', b'{"step":1}\n', b'{"step":2}\n']))

    def test_an_answer_in_pieces(self):
        outcomes, server, _ = self.sent([NO_CONTENT[:5], NO_CONTENT[5:30], NO_CONTENT[30:]], [NO_CONTENT])
        self.assertEqual((outcomes, server.connections), ([Outcome.SENT] * 2, 1))

    def test_a_server_that_closes_after_its_answer(self):
        closing = NO_CONTENT.replace(b'Date: now', b'Connection: Close')
        outcomes, server, _ = self.sent([closing], [closing])
        self.assertEqual((outcomes, server.connections), ([Outcome.SENT] * 2, 2))

    def test_answers_with_a_body(self):
        ok = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
        whole = b'HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s' % (len(REFUSED), REFUSED)
        outcomes, server, transport = self.sent([ok], [whole], [CHUNKED[:90], CHUNKED[90:]], [NO_CONTENT])
        self.assertEqual(outcomes, [Outcome.SENT, Outcome.REFUSED, Outcome.REFUSED, Outcome.SENT])
        self.assertEqual((server.connections, transport.why), (1, 'HTTP 400: line 1: no'))

    def test_an_idle_connection_that_was_closed_is_made_again_and_nothing_is_lost(self):
        outcomes, server, _ = self.sent([NO_CONTENT], None, [NO_CONTENT], count=2)
        self.assertEqual(outcomes, [Outcome.SENT] * 2)
        self.assertEqual(server.bodies[1:], [b'{"step":1}\n'] * 2)  # it may have arrived: lines are numbered

    def test_what_is_no_http_is_tried_later(self):
        for answer in (b'', b'HTTP/1.1 999 what\r\n\r\n', b'\xff\xfe garbage\r\n\r\n', b'HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n',
                       b'HTTP/1.1 429 slow\r\nContent-Length: 0\r\n\r\n'):
            outcomes, _, _ = self.sent([answer, b''] if answer else None)
            self.assertEqual(outcomes, [Outcome.NOT_NOW], answer)


class Requests(unittest.TestCase):
    def test_what_a_server_understands(self):
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers['Content-Length']))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=lambda: [server.handle_request() for _ in range(1)], daemon=True)
        thread.start()
        transport = Http(f'http://localhost:{server.server_port}/behind a proxy/', 'a/run é', ' secret\n')
        self.assertEqual(transport.send(b'{}\n'), Outcome.SENT)
        transport.close()
        thread.join(10)
        path, headers, body = seen[0]
        self.assertEqual(path, '/behind%20a%20proxy/api/tocsin/v1/ingest/run?format=jsonl&run=a%2Frun%20%C3%A9')
        self.assertEqual((headers['Host'], headers['Authorization'], headers['Content-Type'], body),
                         (f'localhost:{server.server_port}', 'Bearer secret', 'application/x-ndjson', b'{}\n'))

    def test_nothing_slips_into_the_head(self):
        for url, token in (('http://h', 'a\r\nX: y'), ('http://h', 'sécret'), ('ftp://h', None), ('http://', None)):
            with self.assertRaises(ValueError):
                Http(url, 'run', token)
        self.assertNotIn(b'\r\nX: y', Http('http://h/a\r\nX: y', 'run\r\nX: y', None)._head)


if __name__ == '__main__':
    sdk_test.main()
