#!/usr/bin/env python3
"""Time from start to ready after kill -9, and whether everything acknowledged is there.

usage: restart_bench.py TOCSIN PERFLOAD WORK_DIR [--series 100000] [--samples 480] [--spb 20] [--rate N] [--runs 3] [--settle 0]

PERFLOAD is the load generator of ../shared/bench. Per run: load everything by remote write, kill -9 `settle` seconds later,
start, wait for /-/ready, then compare counts per metric, checksums and some series sample by sample with what was there
before the kill. One JSON line per run."""
import argparse, json, os, random, shutil, signal, socket, subprocess, sys, time, urllib.parse, urllib.request

CONFIG = """host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
storage: {max_series: 3000000, retention: 365d}
query: {timeout: 10m, max_samples: 200000000}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=600):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return r.read()


class Daemon:
    def __init__(self, binary, work):
        self.binary, self.work, self.port = binary, work, free_port()
        self.data = os.path.join(work, "data")
        self.config = os.path.join(work, "tocsin.yaml")
        with open(self.config, "w") as f:
            f.write(CONFIG)
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        """Seconds from exec to ready."""
        log = open(os.path.join(self.work, "log"), "a")
        begin = time.perf_counter()
        self.process = subprocess.Popen([self.binary, "run", "--config", self.config, "--data", self.data, "--listen",
                                         f"127.0.0.1:{self.port}"], stdout=log, stderr=log)
        while True:
            try:
                get(self.url + "/-/ready", 5)
                return time.perf_counter() - begin
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("the daemon ended: " + open(os.path.join(self.work, "log")).read()[-2000:])
                time.sleep(0.002)

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def status(self, key):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
        return 0

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self):
        return int(dict(l.strip().split(": ") for l in open(f"/proc/{self.process.pid}/io"))["wchar"])

    def query(self, text, at):
        q = urllib.parse.urlencode({"query": text, "time": at})
        return json.loads(get(f"{self.url}/api/v1/query?{q}"))["data"]["result"]


def picture(d, end, span, picks):
    """What a reader sees: samples and sums by metric, and the picked series sample by sample."""
    at, out = str(end), {}
    for name in json.loads(get(f"{d.url}/api/v1/label/__name__/values"))["data"]:
        rows = f'{name}{{job!="tocsin"}}[{span}s]'
        out["count " + name] = d.query(f"sum(count_over_time({rows}))", at)
        out["sum " + name] = d.query(f"sum(sum_over_time({rows}))", at)
    for k, labels in enumerate(picks):
        match = ",".join(f"{n}={json.dumps(v)}" for n, v in labels.items())
        out[f"series {k}"] = d.query(f"{{{match}}}[{span}s]", at)
    # Names that came up meanwhile (of the daemon's own series) have no rows here.
    return {k: sorted(v, key=lambda r: json.dumps(r["metric"], sort_keys=True)) for k, v in out.items() if v}


def folder_bytes(path):
    return sum(os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(path) for f in fs)


def run(o, number):
    work = o.work
    shutil.rmtree(os.path.join(work, "data"), ignore_errors=True)
    bodies = os.path.join(work, "bodies")
    made = json.loads(subprocess.run([o.perfload, "gen", "--profile", "ai", "--series", str(o.series), "--samples", str(o.samples),
                                      "--step", "15", "--spb", str(o.spb), "--out", bodies], check=True, capture_output=True,
                                     text=True).stdout)
    d = Daemon(o.tocsin, work)
    d.start()
    cpu, send = d.cpu_s(), [o.perfload, "send", "--url", d.url + "/api/v1/write", "--in", bodies, "--quiet"]
    if o.rate:
        send += ["--rate", str(o.rate)]
    sent = json.loads(subprocess.run(send, check=True, capture_output=True, text=True).stdout)
    row = {"run": number, "samples": made["samples"], "acked": sent["acked"], "load_cpu_s_per_M": round((d.cpu_s() - cpu) * 1e6 / made["samples"], 3),
           "rss_before_mib": round(d.status("VmRSS"), 1), "written_bytes_per_sample": round(d.written() / made["samples"], 2)}
    end, span = made["end_ms"] / 1000, o.samples * 15 + 60
    if o.compare:
        rng = random.Random(number)
        names = [r["metric"] for r in d.query('{job!~"tocsin|"}', end)]
        picks = rng.sample(names, min(20, len(names)))
        before = picture(d, end, span, picks)
    time.sleep(o.settle)
    d.kill9()
    row["disk"] = {k: folder_bytes(os.path.join(work, "data", "metrics", k)) for k in ("wal", "head", "blocks")}
    row["ready_s"] = round(d.start(), 3)
    row["start_cpu_s"] = round(d.cpu_s(), 3)
    time.sleep(1)
    row["rss_after_mib"], row["peak_mib"] = round(d.status("VmRSS"), 1), round(d.status("VmHWM"), 1)
    if o.compare:
        after = picture(d, end, span, picks)
        counted = sum(int(float(r["value"][1])) for k, rows in after.items() if k.startswith("count ") for r in rows)
        row.update(found=counted, lost=sent["acked"] - counted, same=before == after)
    d.process.terminate()
    d.process.wait()
    print(json.dumps(row), flush=True)
    return row


def main():
    a = argparse.ArgumentParser()
    a.add_argument("tocsin"), a.add_argument("perfload"), a.add_argument("work")
    a.add_argument("--series", type=int, default=100000), a.add_argument("--samples", type=int, default=480)
    a.add_argument("--spb", type=int, default=20), a.add_argument("--rate", type=int, default=0)
    a.add_argument("--runs", type=int, default=3), a.add_argument("--settle", type=float, default=0)
    a.add_argument("--no-compare", dest="compare", action="store_false")
    o = a.parse_args()
    os.makedirs(o.work, exist_ok=True)
    rows = [run(o, k) for k in range(o.runs)]
    sys.exit(any(r.get("lost") or not r.get("same", True) for r in rows))


if __name__ == "__main__":
    main()
