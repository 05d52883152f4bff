#!/bin/bash
# Measures tocsin beside Prometheus and VictoriaMetrics with the harness of ../shared/bench, on this machine, one after the other.
# usage: run.sh HARNESS_DIR TOCSIN_BINARY OUT_DIR [ingest] [query] [interleaved] [scrape] [disk]     (ingest, query, scrape without a choice)
# The harness is copied; OUT_DIR (some 5 GB) gets its work files and results.jsonl. bench/peers/results.py makes tables of that.
# SERVERS="tocsin prometheus" chooses servers, BUDGET_S the seconds for each query, SCRAPE_SERIES the size of the scrape test.
set -eu
harness=$(realpath "$1") binary=$(realpath "$2") out=$3
shift 3
parts=${*:-ingest query scrape}
servers=${SERVERS:-tocsin victoriametrics prometheus}
here=$(realpath "$(dirname "$0")")
mkdir -p "$out"
out=$(realpath "$out")
[ -e "$out/harness/perfload" ] || { rm -rf "$out/harness"; cp -r "$harness" "$out/harness"; make -C "$out/harness" perfload >/dev/null; }
cd "$out/harness"
"$here/servers.py" "$harness" "$binary" > "$out/servers.json"
export PERF_SERVERS="$out/servers.json" PERF_WORK="$out/work"
results="$out/results.jsonl"

make_query_data() {
  ./perfload gen --profile uniform --series 10000 --name http_requests_long_total --profile2 qmix --series2 100000 \
    --skip2 5400 --samples 5760 --step 15 --spb 20 --out "$out/query" >/dev/null
}

for part in $parts; do
  case $part in
  ingest) # time stamps end now, so the data are made just before
    ./perfload gen --profile ai --series 100000 --samples 60 --step 15 --out "$out/ai100k" >/dev/null
    ./perfload gen --profile uniform --series 10000 --samples 1000 --step 15 --spb 20 --out "$out/catchup" >/dev/null
    for s in $servers; do
      python3 bench_ingest.py "$s" --in "$out/ai100k" --disk --restart --settle 5 --out "$results"
      python3 bench_ingest.py "$s" --in "$out/catchup" --disk --settle 5 --out "$results"
    done ;;
  query)
    make_query_data
    for s in $servers; do
      python3 bench_query.py "$s" --in "$out/query" --load --budget "${BUDGET_S:-3}" --out "$results"
    done ;;
  interleaved) # the same queries, request by request in turn
    make_query_data
    for s in tocsin victoriametrics prometheus; do
      python3 bench_query.py "$s" --in "$out/query" --load --keep --only none
    done
    "$here/interleaved.py" . "$out/query" --budget "${BUDGET_S:-3}" --out "$out/interleaved.jsonl" || echo "run.sh: interleaved.py ended with $?" ;;
  scrape)
    for s in $servers; do
      python3 bench_scrape.py "$s" --series "${SCRAPE_SERIES:-100000}" --interval 5 --secs 60 --rules --out "$results"
    done ;;
  disk)
    "$here/disk.py" "$(dirname "$binary")" "$out" --out "$results" --servers "${servers// /,}" ;;
  *) echo "run.sh: no part $part" >&2; exit 1 ;;
  esac
done
