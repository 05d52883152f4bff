"""What the tests of decisions that people take (thresholds, verdicts) share: a daemon with one detector, and its audit log."""
import pathlib
import shutil
import sqlite3
import tempfile

T = '/api/tocsin/v1'
CONFIG = '''
rule_files: [rules.yml]
rules: {builtin: false}
host: {enabled: false}
discovery: {enabled: false}
incident: {resolve_hold: 1s%s}
global: {evaluation_interval: 1s}
detectors:
  - {name: strange, expr: train_signal, method: robust_z, window: 40s, interval: 1s, min_points: 20, threshold: 8}
'''


def write_config(folder, rules, incident=''):
    """Writes rules.yml and a tocsin.yml that reads it; the latter's path. `incident`: further keys of that section."""
    folder = pathlib.Path(folder)
    (folder / 'rules.yml').write_text(rules)
    (folder / 'tocsin.yml').write_text(CONFIG % incident)
    return folder / 'tocsin.yml'


def audit_rows(daemon):
    """[(actor, route, object, outcome)], read from a copy: the daemon may be running."""
    copy = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-'))
    for file in daemon.data.glob('state.db*'):
        shutil.copy(file, copy)
    with sqlite3.connect(copy / 'state.db') as db:
        rows = db.execute('SELECT actor, route, object, outcome FROM audit').fetchall()
    shutil.rmtree(copy)
    return rows
