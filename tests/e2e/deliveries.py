#!/usr/bin/env python3
"""E-mail with STARTTLS and AUTH, SMS gateway, Twilio form, ntfy and webhook: one correct message per transition, also
when the receivers were down and the daemon was killed meanwhile. --outage SECONDS sets how long they are down."""
import argparse
import base64
import email
import email.policy
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from tocsin_test import Checks, Daemon, skip, wait_for

try:
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult
except ImportError:
    skip('python3-aiosmtpd is not installed')

RULES = '''
groups:
  - name: test
    interval: 1s
    rules:
      - alert: QueueTooLong
        expr: train_queue_length > 5
        labels: {severity: critical}
        annotations:
          summary: "queue of {{ $labels.run }} is {{ $value }} — zu lang"
          description: "More than five requests wait."
          runbook_url: https://runbooks.example/queue
'''


class Gateway(http.server.ThreadingHTTPServer):
    """Takes every POST; down: answers 503."""
    daemon_threads = True

    def __init__(self):
        self.requests, self.is_down = [], False
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                if gateway.is_down:
                    self.send_response(503)
                    self.end_headers()
                    return
                gateway.requests.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"status":"queued"}')

            def log_message(self, *_):
                pass

        super().__init__(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def to(self, path):
        return [r for r in self.requests if r[0].startswith(path)]


class Mailbox:
    def __init__(self):
        self.messages, self.is_down, self.logins = [], False, []

    async def handle_DATA(self, server, session, envelope):
        if self.is_down:
            return '451 try again later'
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.authenticated))
        return '250 OK'

    def authenticate(self, server, session, envelope, mechanism, data):
        good = data.login == b'alert' and data.password == b's3cret'
        self.logins.append(good)
        return AuthResult(success=good, handled=False)


def make_certificate(directory):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', directory / 'key.pem', '-out',
                    directory / 'cert.pem'], check=True, capture_output=True)


def start_mail(directory, mailbox):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / 'cert.pem', directory / 'key.pem')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname='127.0.0.1', port=port, tls_context=context, require_starttls=True,
                            authenticator=mailbox.authenticate, auth_required=True)
    controller.start()
    return controller


def write_config(directory, mail_port, http_port):
    (directory / 'rules.yml').write_text(RULES)
    (directory / 'smtp-password').write_text('s3cret\n')
    base = f'http://127.0.0.1:{http_port}'
    (directory / 'alertmanager.yml').write_text(f'''
route:
  receiver: everything
  group_by: [alertname, run]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
receivers:
  - name: everything
    email_configs:
      - to: "On Call <oncall@example.org>"
        from: "Tocsin <tocsin@example.org>"
        smarthost: 127.0.0.1:{mail_port}
        auth_username: alert
        auth_password_file: smtp-password
        require_tls: true
        tls_config: {{ca_file: "{directory}/cert.pem"}}
        send_resolved: true
    sms_configs:
      - to: "+491700000001"
        url: {base}/sms
        body: '{{{{"phone": "{{{{ .To }}}}", "message": "{{{{ .Text }}}}"}}}}'
        success_body: queued
    twilio_configs:
      - to: "+491700000002"
        from: "+15550001111"
        account_sid: AC123
        auth_token: tok
        api_url: {base}/twilio
    ntfy_configs:
      - url: {base}/ntfy/oncall
    webhook_configs:
      - url: {base}/hook
''')
    config = directory / 'tocsin.yml'
    config.write_text('rule_files: [rules.yml]\nrules: {builtin: false}\nhost: {enabled: false}\n'
                      'discovery: {enabled: false}\nalertmanager_file: alertmanager.yml\n'
                      'incident: {resolve_hold: 1s}\nglobal: {evaluation_interval: 1s}\n')
    return config


def set_queue(daemon, run, value, seconds=0.0):
    end = time.monotonic() + seconds
    while True:
        daemon.report(run, t=time.time(), queue_length=value)
        if time.monotonic() >= end:
            return
        time.sleep(0.3)


def all_arrived(gateway, mailbox, count):
    return (len(mailbox.messages) >= count and
            all(len(gateway.to(p)) >= count for p in ('/sms', '/twilio', '/ntfy', '/hook')))


def check_counts(c, gateway, mailbox, count, what):
    c.equal(len(mailbox.messages), count, f'{what}: mails')
    for path in ('/sms', '/twilio', '/ntfy', '/hook'):
        c.equal(len(gateway.to(path)), count, f'{what}: messages at {path}')


def check_mail(c, entry, word):
    sender, recipients, content, is_authenticated = entry
    message = email.message_from_bytes(content, policy=email.policy.default)
    c.equal((sender, recipients), ('tocsin@example.org', ['oncall@example.org']), 'mail envelope')
    c.check(is_authenticated, 'the mail came over a login')
    c.check(word in message['Subject'] and 'queue of r1 is 9 — zu lang' in message['Subject'],
            f"mail subject: {message['Subject']}")
    c.check(message['Message-ID'] and message['Date'], 'mail has Message-ID and Date')
    c.equal(list(message.defects), [], 'mail has no defects')
    text = message.get_body(('plain',)).get_content()
    for part in ('9', '5', 'https://runbooks.example/queue', '/#/incident/I-'):
        c.check(part in text, f'the mail\'s text holds {part!r}')
    c.check('<' in message.get_body(('html',)).get_content(), 'the mail has an HTML part')
    return text


def check_http(c, gateway, index, status):
    hook = json.loads(gateway.to('/hook')[index][2])
    c.equal((hook['version'], hook['status'], hook['receiver']), ('4', status, 'everything'), 'webhook head')
    c.equal(hook['groupLabels'], {'alertname': 'QueueTooLong', 'run': 'r1'}, 'webhook group labels')
    alert = hook['alerts'][0]
    c.equal((len(hook['alerts']), alert['status'], alert['labels']['severity']), (1, status, 'critical'), 'webhook alert')
    c.check(len(alert['fingerprint']) == 16 and alert['startsAt'].endswith('Z'), 'webhook fingerprint and time')
    sms = json.loads(gateway.to('/sms')[index][2])
    c.equal(sms['phone'], '+491700000001', 'SMS number')
    c.check('queue of r1' in sms['message'], f"SMS text: {sms['message']}")
    twilio = urllib.parse.parse_qs(gateway.to('/twilio')[index][2].decode())
    c.equal((twilio['To'], twilio['From']), (['+491700000002'], ['+15550001111']), 'Twilio form')
    c.equal(gateway.to('/twilio')[index][1]['Authorization'],
            'Basic ' + base64.b64encode(b'AC123:tok').decode(), 'Twilio login')
    ntfy = json.loads(gateway.to('/ntfy')[index][2])
    c.check(ntfy['topic'] == 'oncall' and 'queue of r1' in ntfy['title'] + ntfy['message'], f'ntfy message: {ntfy}')


def check_ack_link(c, daemon, text):
    link = next(word for word in text.split() if '/ack?token=' in word).strip('<>')
    path = link[len(daemon.url):] if link.startswith(daemon.url) else link[link.index('/api'):]
    incident = daemon.incidents('open')[0]
    page = daemon.get(path)
    c.equal(page.status, 200, 'the acknowledge page')
    c.check(daemon.incidents('open')[0]['acknowledged_at'] is None, 'opening the link changes nothing')
    forged = path[:-4] + ('AAAA' if path[-4:] != 'AAAA' else 'BBBB')
    c.equal(daemon.get(forged).status, 403, 'a forged link')
    c.equal(daemon.call('POST', path.replace('/ack?', '/acknowledge-link?'), b'').status, 200, 'the button')
    c.check(daemon.get(f"/api/tocsin/v1/incidents/{incident['id']}").json['acknowledged_at'], 'it is acknowledged')


def transitions(c, d, gateway, mailbox):
    set_queue(d, 'r1', 1)
    set_queue(d, 'r1', 9, 2)
    c.check(wait_for(lambda: all_arrived(gateway, mailbox, 1), 20), 'the firing messages arrive')
    time.sleep(3)
    check_counts(c, gateway, mailbox, 1, 'firing')
    text = check_mail(c, mailbox.messages[0], 'FIRING')
    check_http(c, gateway, 0, 'firing')
    c.check(wait_for(lambda: d.incidents('open')[0]['notified_at'], 5), 'the incident is notified')
    check_ack_link(c, d, text)
    set_queue(d, 'r1', 1, 1)
    c.check(wait_for(lambda: all_arrived(gateway, mailbox, 2), 20), 'the resolved messages arrive')
    time.sleep(3)
    check_counts(c, gateway, mailbox, 2, 'resolved')
    c.check('RESOLVED' in email.message_from_bytes(mailbox.messages[1][2], policy=email.policy.default)['Subject'],
            'the second mail says resolved')
    check_http(c, gateway, 1, 'resolved')
    ledger = d.get('/api/tocsin/v1/deliveries').json['deliveries']
    c.check(len(ledger) == 10 and all(x['state'] == 'delivered' for x in ledger), f'the ledger holds ten deliveries: {len(ledger)}')


def outage(c, d, gateway, mailbox, seconds):
    before = len(mailbox.messages)
    gateway.is_down = mailbox.is_down = True
    set_queue(d, 'r2', 9, 4)
    c.check(wait_for(lambda: any(x['attempts'] for x in d.get('/api/tocsin/v1/deliveries').json['deliveries']
                                 if x['state'] == 'pending'), 20), 'attempts fail and are kept')
    time.sleep(seconds / 2)
    d.kill()
    time.sleep(seconds / 2)
    d.start()
    gateway.is_down = mailbox.is_down = False
    c.check(wait_for(lambda: all_arrived(gateway, mailbox, before + 1), seconds + 60), 'the messages arrive after the outage')
    time.sleep(2)
    c.equal(len(mailbox.messages), before + 1, 'mails after the outage and kill -9')
    keys = [json.loads(r[2])['groupKey'] for r in gateway.to('/hook')[before:]]
    c.equal(len(keys), 1, 'webhook messages after the outage and kill -9')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--outage', type=float, default=6)
    options = parser.parse_args()
    c = Checks()
    gateway, mailbox = Gateway(), Mailbox()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        make_certificate(directory)
        mail = start_mail(directory, mailbox)
        config = write_config(directory, mail.port, gateway.server_address[1])
        with Daemon(config=config) as d:
            code, out, err = d.command('alert', 'test-receiver', 'everything')
            c.equal(code, 0, f'test-receiver: {out} {err}')
            c.check(all_arrived(gateway, mailbox, 1), 'the test message came by every channel')
            mailbox.messages.clear()
            gateway.requests.clear()
            transitions(c, d, gateway, mailbox)
            outage(c, d, gateway, mailbox, options.outage)
        mail.stop()
    c.finish()


main()
