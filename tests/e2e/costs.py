#!/usr/bin/env python3
"""Costs: spans of a real daemon's OTLP endpoint priced by a table of the configuration, a budget that is spent becomes an incident."""
import json
import pathlib
import tempfile
import time

from tocsin_test import Checks, Daemon, offline, wait_for

CONFIG = '''
host: {enabled: false}
discovery: {enabled: false}
costs:
  currency: EUR
  interval: 1s
  prices:
    - {model: 'big-.*', input: 2, output: 10, input_cached: 0.5}
  budgets:
    - {name: chat, amount: 0.001, per: day, tenant: bot}
    - {name: roomy, amount: 100000, per: month}
'''


def span(tokens_in, tokens_out, model):
    def kv(k, v):
        return {'key': k, 'value': {'intValue': str(v)} if isinstance(v, int) else {'stringValue': v}}
    now = time.time_ns()
    attributes = {'gen_ai.operation.name': 'chat', 'gen_ai.request.model': model, 'gen_ai.usage.input_tokens': tokens_in,
                  'gen_ai.usage.output_tokens': tokens_out}
    return {'traceId': '0' * 32, 'spanId': '0' * 16, 'name': 'chat', 'startTimeUnixNano': str(now - 10**9), 'endTimeUnixNano': str(now),
            'attributes': [kv(k, v) for k, v in attributes.items()]}


def send(d, *spans):
    body = {'resourceSpans': [{'resource': {'attributes': [{'key': 'service.name', 'value': {'stringValue': 'bot'}}]},
                               'scopeSpans': [{'spans': list(spans)}]}]}
    return d.call('POST', '/v1/traces', json.dumps(body).encode(), token=d.token, headers={'Content-Type': 'application/json'}).status


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        config = pathlib.Path(name) / 'tocsin.yml'
        config.write_text(CONFIG)
        c.equal(offline('check', 'config', config)[0], 0, 'the configuration is accepted')
        bad = pathlib.Path(name) / 'bad.yml'
        bad.write_text(CONFIG.replace('per: month', 'per: week'))
        code, out, error = offline('check', 'config', bad)
        c.check(code and 'day or month' in out + error, f'a bad budget is refused with its place: {out + error}')
        with Daemon(config=config) as d:
            for _ in range(12):
                c.equal(send(d, span(100000, 20000, 'big-1'), span(1000, 10, 'small')), 200, 'spans are taken')
                time.sleep(1)
            priced = 'serve_cost_per_second{model="big-1",tenant="bot",currency="EUR"}'
            tokens = 'serve_tokens_per_second{model="big-1",tenant="bot",direction="%s"}'
            c.check(wait_for(lambda: d.query(priced + ' > 0'), 30), 'a cost by the table')
            ratio = d.query(f'{priced} / on() (sum({tokens % "input"}) * 2e-6 + sum({tokens % "output"}) * 10e-6)')
            c.check(ratio and abs(ratio[0][1] - 1) < 0.5, f'it is tokens by price: {ratio}')
            c.check(wait_for(lambda: d.query('serve_unpriced_tokens_per_second{model="small"} > 0'), 20), 'a model without a price shows')
            c.check(wait_for(lambda: d.query('serve_budget_spent{budget="chat"} > 0.001'), 60), 'the budget is spent')
            told = wait_for(lambda: [i for i in d.incidents() if i['kind'] == 'cost_budget'], 60)
            c.check(told, 'and becomes an incident')
            alerts = {(a['labels']['alertname'], a['labels']['budget']) for a in d.get('/api/v2/alerts').json if 'budget' in a['labels']}
            c.check(('CostBudgetSpent', 'chat') in alerts, f'the alert names the budget: {alerts}')
            c.check(not any(b == 'roomy' for _, b in alerts), f'a budget with room is silent: {alerts}')
            before = d.query('serve_budget_spent{budget="chat"}')[0][1]
            d.kill()
            d.start()
            c.check(wait_for(lambda: d.query('serve_budget_spent{budget="chat"}') and d.query('serve_budget_spent{budget="chat"}')[0][1] >= before, 30),
                    'a restart forgets nothing that was spent')
    c.finish()


main()
