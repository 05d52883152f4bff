#!/usr/bin/env python3
"""Writes a servers.json for the harness in ../shared/bench: its own peers plus tocsin.
usage: servers.py HARNESS_DIR TOCSIN_BINARY > servers.json"""
import json
import os
import sys


def main():
    harness, binary = sys.argv[1], os.path.abspath(sys.argv[2])
    servers = json.load(open(os.path.join(harness, 'servers.json')))
    servers['tocsin'] = {
        'bin': os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tocsin.sh'),
        'args': [binary, '{conf}', '{data}', '{port}'],
        'conf_default': 'global: {scrape_interval: 15s, evaluation_interval: 15s}\n',
        'port': 26797, 'ready': '/-/ready', 'write': '/api/v1/write', 'query': '', 'flush': [],
    }
    json.dump(servers, sys.stdout, indent=2)
    print()


if __name__ == '__main__':
    main()
