#!/bin/bash
# tocsin.sh BINARY CONFIG DATA PORT: tocsin on a configuration that the harness writes for Prometheus, without the collectors
# of the machine that the test runs on. A changed CONFIG is taken up within a second.
set -eu
binary=$1 config=$2 data=$3 port=$4
translate() {
  {
    cat "$config"
    echo 'host: {enabled: false}'
    echo 'gpu: {enabled: false}'
    echo 'discovery: {enabled: false}'
    echo 'rules: {builtin: false}'
    echo 'storage: {max_series: 3000000, retention: 365d}'
    echo 'query: {timeout: 10m, max_samples: 200000000}'
  } > "$config.tocsin"
}
translate
(
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    if [ "$config" -nt "$config.tocsin" ]; then
      translate
      kill -HUP $$
    fi
  done
) &
exec "$binary" run --config "$config.tocsin" --data "$data" --listen "127.0.0.1:$port"
