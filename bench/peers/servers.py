#!/usr/bin/env python3
"""Writes a servers.json for the harness in ../shared/bench: its own peers plus tocsin.
usage: servers.py HARNESS_DIR TOCSIN_BINARY > servers.json"""
import json
import os
import sys

# Only the store, queries, rules and scraping take part: no collectors of the machine the test runs on.
QUIET = """host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
storage: {max_series: 3000000, retention: 365d}
query: {timeout: 10m, max_samples: 200000000}
"""


def main():
    harness, binary = sys.argv[1], os.path.abspath(sys.argv[2])
    servers = json.load(open(os.path.join(harness, "servers.json")))
    servers["tocsin"] = {
        "bin": binary,
        "args": ["run", "--config", "{conf}", "--data", "{data}", "--listen", "127.0.0.1:{port}"],
        "conf_default": QUIET,
        "port": 26797, "ready": "/-/ready", "write": "/api/v1/write", "query": "", "flush": [],
    }
    json.dump(servers, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
