#!/bin/bash
# Run or continue one shard: start its servers, collect what is missing, stop them.
# Usage: run_shard.sh NUMBER
#   SHARDS=shards RUN=results   folder of the shards, folder of the results
#   CONFIG=collect.yaml         settings of the run, and SERVERS=servers.yaml of the
#                               servers
#   HEAD_PORT                   port of a head server that runs already; without it,
#                               the shard starts servers of its own
#   DEADLINE                    when to be done, as a Unix time; without it, no
#                               limit
#   RESERVE                     seconds before the DEADLINE in which no rollout
#                               starts; without it, a tenth of the time, at least 60
# Exit code: 0 complete, 1 rollouts are missing, no endpoint answers, or Ray timed
# out on a busy node (run it again), 2 it could not start
set -uo pipefail
if ! [[ ${1:-} =~ ^[0-9]+$ ]]; then
  echo "Usage: bash run_shard.sh NUMBER" >&2
  exit 2
fi
name=$(printf 'shard-%03d' "$((10#$1))")
tasks=${SHARDS:-shards}/$name.jsonl out=${RUN:-results}/$name
[ -f "$tasks" ] || {
  echo "run_shard.sh: there is no $tasks. Run split_tasks.py first." >&2
  exit 2
}
mkdir -p "$out"

# Two runs that write one file would mix their lines: wait for the other one. Its
# lock ends with it, also after kill -9.
exec 9> "$out/lock"
flock 9 || {
  echo "run_shard.sh: no lock on $out/lock." \
    "Use a file system that supports flock." >&2
  exit 2
}

end_servers() {
  kill -INT "$1" 2>/dev/null
  # Under nohup and some schedulers, programs ignore the interrupt: after half a
  # minute they are terminated.
  for _ in {1..30}; do kill -0 "$1" 2>/dev/null || return; sleep 1; done
  kill "$1" 2>/dev/null
}
# A run of this shard that was killed with kill -9 left its servers behind: on
# this node, they hold the ports.
if read -r node left < "$out/servers" && [ "$node" = "$HOSTNAME" ] &&
  tr '\0' ' ' < "/proc/$left/cmdline" | grep -q 'gym env start'; then
  end_servers "$left"
fi 2>/dev/null

status() {
  python watch_shards.py "${SHARDS:-shards}" "${RUN:-results}" --shard "$name"
}
before=$(status) && { echo "$before"; exit 0; }   # complete: nothing to start

servers="" driver=""
stop() {
  kill $driver 2>/dev/null
  [ -n "$servers" ] || return
  end_servers "$servers"
  wait "$servers"
  rm -f "$out/servers"
}
# Servers that have finished may still abort as their process ends: bash's line
# about it tells nothing.
trap 'stop 2> /dev/null' EXIT
trap 'exit 1' TERM INT

ended() {
  echo "run_shard.sh: the servers of $name ended. The end of $out/servers.log:" >&2
  tail -15 "$out/servers.log" >&2
}
# Its own servers are up; and the head server answers 503 until the endpoints
# answer: a driver that starts earlier loses attempts.
ready() {
  grep -qs 'servers ready!' "$out/servers.log" &&
    python -c "from urllib.request import urlopen
urlopen('http://127.0.0.1:$HEAD_PORT/health')" 2> /dev/null
}

if [ -n "${HEAD_PORT:-}" ]; then
  (: < "/dev/tcp/127.0.0.1/$HEAD_PORT") 2>/dev/null || {
    echo "run_shard.sh: no head server at port $HEAD_PORT. Start the servers, or" \
      "unset HEAD_PORT: a shard then starts its own." >&2
    exit 2
  }
else
  # Several shards may share a node: a hundred ports each.
  HEAD_PORT=$((20000 + 100 * (10#$1 % 100)))
  # Else a process in the background of a script ignores the interrupt that stops it
  set -m
  gym env start --config "${SERVERS:-servers.yaml}" ++head_server.port=$HEAD_PORT \
    ++port_range_low=$((HEAD_PORT + 1)) ++port_range_high=$((HEAD_PORT + 99)) \
    > "$out/servers.log" 2>&1 9>&- &
  servers=$!
  set +m
  echo "$HOSTNAME $servers" > "$out/servers"
  until ready; do
    if ! kill -0 $servers 2>/dev/null; then
      ended
      grep -qE 'never answered|timed out during startup' "$out/servers.log" &&
        exit 1
      exit 2
    fi
    sleep 1
  done
fi

# The reserve belongs to rollouts in flight and to the end of the job.
budget=()
if [ -n "${DEADLINE:-}" ]; then
  left=$((DEADLINE - $(date +%s)))
  reserve=${RESERVE:-$((left / 10 > 60 ? left / 10 : 60))}
  budget=(++dispatch_budget_s=$((left > reserve ? left - reserve : 0))
    ++dispatch_longest_first=true)
fi

gym eval run --no-serve --config "${CONFIG:-collect.yaml}" -i "$tasks" \
  -o "$out/rollouts.jsonl" ++head_server.port="$HEAD_PORT" \
  ${budget[@]+"${budget[@]}"} >> "$out/run.log" 2>&1 &
driver=$!
echo $driver > "$out/pid"
# A driver without its servers would ask forever: wait for either to end.
wait -n $driver $servers
code=$?
if [ -n "$servers" ] && ! kill -0 $servers 2>/dev/null; then
  ended
elif [ $code = 2 ] || [ ! -e "$out/rollouts_materialized_inputs.jsonl" ]; then
  # Gym refuses the settings or the tasks: once more would end the same way.
  echo "run_shard.sh: no run of $name began. The end of $out/run.log:" >&2
  tail -5 "$out/run.log" >&2
  exit 2
fi
status || exit 1
