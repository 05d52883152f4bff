"""An API server of Kubernetes as far as service discovery asks it: lists in pages, watches, versions, 410, credentials."""
import http.server
import json
import threading
import time
import urllib.parse

KINDS = {'nodes': ('v1', 'Node'), 'pods': ('v1', 'Pod'), 'services': ('v1', 'Service'), 'endpoints': ('v1', 'Endpoints'),
         'endpointslices': ('discovery.k8s.io/v1', 'EndpointSlice'), 'ingresses': ('networking.k8s.io/v1', 'Ingress')}


class Cluster:
    """Objects by kind, a history of events, and what the server shall do wrong."""

    def __init__(self):
        self.condition = threading.Condition()
        self.version, self.oldest = 100, 0
        self.objects = {k: {} for k in KINDS}
        self.events = []  # (version, kind, type, object)
        self.requests = []
        self.tokens = None  # None: everybody may ask
        self.status = 0     # every request is answered with it
        self.page = 500
        self.hang_up = 0    # watches begun before this generation end at once
        self.garbage = None
        self.bookmarks = False
        self.port = None

    def put(self, kind, name, namespace=None, **parts):
        with self.condition:
            self.version += 1
            metadata = {'name': name, 'uid': f'uid-{name}', 'resourceVersion': str(self.version), **parts.pop('metadata', {})}
            metadata['managedFields'] = [{'manager': 'kubectl', 'fieldsV1': {'f:metadata': {}}}]
            if namespace:
                metadata['namespace'] = namespace
            obj = {'kind': KINDS[kind][1], 'apiVersion': KINDS[kind][0], 'metadata': metadata, **parts}
            known = (namespace, name) in self.objects[kind]
            self.objects[kind][(namespace, name)] = obj
            self.events.append((self.version, kind, 'MODIFIED' if known else 'ADDED', obj))
            self.condition.notify_all()

    def delete(self, kind, name, namespace=None):
        with self.condition:
            self.version += 1
            obj = self.objects[kind].pop((namespace, name))
            obj = {**obj, 'metadata': {**obj['metadata'], 'resourceVersion': str(self.version)}}
            self.events.append((self.version, kind, 'DELETED', obj))
            self.condition.notify_all()

    def forget(self):
        """As compaction does: older versions are too old, and watches end with 410."""
        with self.condition:
            self.version += 1
            self.oldest = self.version
            self.events.clear()
            self.condition.notify_all()

    def end_watches(self):
        with self.condition:
            self.hang_up += 1
            self.condition.notify_all()

    def count(self, what):
        return sum(what in path for path in self.requests)

    def serve(self, tls=None):
        cluster = self

        class Handler(Api):
            pass
        Handler.cluster = cluster
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port = server.server_port
        return server


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    cluster = None

    def log_message(self, *_):
        pass

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, reason):
        self.reply(status, {'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure', 'message': reason, 'reason': reason, 'code': status})

    def do_GET(self):
        c = self.cluster
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        c.requests.append(self.path)
        if c.tokens is not None and self.headers.get('Authorization') not in [f'Bearer {t}' for t in c.tokens]:
            return self.refuse(401, 'Unauthorized')
        if c.status:
            return self.refuse(c.status, 'the server is in trouble')
        if url.path == '/version':
            return self.reply(200, {'major': '1', 'minor': '27', 'gitVersion': 'v1.27.3'})
        parts = url.path.strip('/').split('/')
        kind, namespace = parts[-1], parts[-2] if 'namespaces' in parts[:-1] else None
        if kind not in KINDS:
            return self.refuse(404, 'not found')
        if query.get('watch') in ('true', '1'):
            return self.watch(kind, namespace, query)
        return self.list(kind, namespace, query)

    def is_wanted(self, obj, namespace, query):
        metadata = obj['metadata']
        labels = metadata.get('labels', {})
        wanted = [s.split('=') for s in query.get('labelSelector', '').split(',') if s]
        fields = [s.split('=') for s in query.get('fieldSelector', '').split(',') if s]
        return ((namespace is None or metadata.get('namespace') == namespace) and all(labels.get(k) == v for k, v in wanted) and
                all(obj.get(k.split('.')[0], {}).get(k.split('.')[1]) == v for k, v in fields))

    def list(self, kind, namespace, query):
        c = self.cluster
        with c.condition:
            items = [o for _, o in sorted(c.objects[kind].items(), key=str) if self.is_wanted(o, namespace, query)]
            version = str(c.version)
        start = int(query.get('continue') or 0)
        end = start + min(int(query.get('limit') or 10 ** 9), c.page)
        metadata = {'resourceVersion': version}
        if end < len(items):
            metadata['continue'] = str(end)
        self.reply(200, {'kind': KINDS[kind][1] + 'List', 'apiVersion': KINDS[kind][0], 'metadata': metadata,
                         'items': [{k: v for k, v in o.items() if k not in ('kind', 'apiVersion')} for o in items[start:end]]})

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def watch(self, kind, namespace, query):
        c = self.cluster
        seen = int(query.get('resourceVersion') or 0)
        end = time.monotonic() + float(query.get('timeoutSeconds') or 300)
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        with c.condition:
            generation = c.hang_up
        while True:
            with c.condition:
                c.condition.wait_for(lambda: c.version > seen or c.hang_up != generation, max(0, min(0.5, end - time.monotonic())))
                is_old, garbage = seen < c.oldest, c.garbage
                events = [e for e in c.events if e[0] > seen]
                has_ended, version = c.hang_up != generation, c.version
            try:
                if garbage:
                    self.chunk(garbage)
                    break
                if is_old:
                    self.chunk(json.dumps({'type': 'ERROR', 'object': {'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure', 'code': 410,
                                                                       'message': f'too old resource version: {seen}', 'reason': 'Expired'}}) + '\n')
                    break
                for _, k, event, obj in events:
                    if k == kind and self.is_wanted(obj, namespace, query):
                        text = json.dumps({'type': event, 'object': obj}) + '\n'
                        self.chunk(text[:len(text) // 2])  # an event may come in parts
                        self.chunk(text[len(text) // 2:])
                if c.bookmarks and query.get('allowWatchBookmarks') and version > seen:
                    self.chunk(json.dumps({'type': 'BOOKMARK', 'object': {'kind': KINDS[kind][1], 'metadata': {
                        'resourceVersion': str(version)}}}) + '\n')
                seen = max(seen, version)
                if has_ended:
                    self.close_connection = True
                    return  # in the middle of the stream
                if time.monotonic() > end:
                    break
            except OSError:
                return
        try:
            self.wfile.write(b'0\r\n\r\n')
        except OSError:
            pass
