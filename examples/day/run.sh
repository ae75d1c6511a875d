#!/bin/bash
# A day of half an hour, from nothing to nothing: two zones of hosts that are containers, the shop
# under load, a peak, its rehearsal, a host and a zone that die in it, a bad release in its freeze.
# Nothing is done by hand after the start. Needs root, dockerd, cc and python3.
#
#   run.sh DIR [ATOLL]       everything is kept in DIR; what came of it is DIR/report.md
#   run.sh stop DIR          stops and takes away what a run that was broken off has left
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
me=$here/run.sh

zone() { env DOCKER_HOST="unix://$dir/zone-$1/docker.sock" docker "${@:2}"; }
say() { echo "$(date -u +%T) $*"; }
settle() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; "$@" >/dev/null; }

# Starts the engine of a zone, on what it had before.
engine() {
    local z=$1 place=$dir/zone-$1
    mkdir -p "$place"
    rm -f "$place/pid" "$place/run/containerd/containerd.pid"
    setsid dockerd --data-root "$place/data" --exec-root "$place/run" --pidfile "$place/pid" \
        --host "unix://$place/docker.sock" --iptables=false --ip6tables=false --bridge=none \
        --shutdown-timeout=5 >>"$place/log" 2>&1 </dev/null &
    settle zone "$z" info
}

# Every process of the engine of a zone and of its containers.
processes() {
    local one
    for one in $(cat "$dir/zone-$1/containers" 2>/dev/null); do
        cat /sys/fs/cgroup/{pids/,,systemd/}docker/"$one"/cgroup.procs 2>/dev/null || true
    done
    for one in /proc/[0-9]*; do
        grep -qzsF "$dir/zone-$1/" "$one/cmdline" && echo "${one#/proc/}"
    done
}

stop_all() {
    set +e
    local z pid
    for pid in load server; do
        [ -f "$dir/$pid.pid" ] && kill "$(cat "$dir/$pid.pid")" 2>/dev/null
        rm -f "$dir/$pid.pid"
    done
    for z in a b; do
        zone $z ps -aq 2>/dev/null | xargs -r env DOCKER_HOST="unix://$dir/zone-$z/docker.sock" docker rm -f >/dev/null 2>&1
        zone $z network rm zone >/dev/null 2>&1
        [ -f "$dir/zone-$z/pid" ] && kill "$(cat "$dir/zone-$z/pid")" 2>/dev/null
        for _ in $(seq 50); do [ -f "$dir/zone-$z/pid" ] && sleep 0.2; done
        grep -o "$dir/zone-$z/[^ ]*" /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null
    done
    return 0
}

# What happens in the day. The customers' program calls these at the times of its plan.
happen() {
    local host pid
    case $1 in
    few) atoll autoscale deployment/shop.prod --max 2; atoll autoscale deployment/stock.prod --max 1 ;;
    learned)
        atoll get capacities
        atoll autoscale deployment/shop.prod --reset; atoll autoscale deployment/stock.prod --reset ;;
    rehearse)
        atoll rehearse peak/sale -o json >"$dir/rehearsed-peak.json" || echo "the peak did not hold"
        host=$(victim)
        echo "$host" >"$dir/victim"
        at() { echo "$(($1 - 420))s"; }
        sed -e "s/@LASTS@/$(at 1560)/; s/@PEAK@/$(at 760)/; s/@HOST@/$(at 880)/; s/@NAME@/$host/" \
            -e "s/@RELEASE@/$(at 940)/; s/@ZONE@/$(at 1000)/" "$here/rehearsal.yaml" \
            >"$dir/rehearsal.yaml"
        atoll rehearse "$dir/rehearsal.yaml" -o json >"$dir/rehearsed-day.json" || echo "the day did not hold"
        atoll peak calendar sale || true ;;
    look) atoll peak calendar sale || true; atoll peak show sale; atoll get pools; atoll budget ;;
    kill-host)
        host=$(cat "$dir/victim")
        zone a inspect "$host" >/dev/null 2>&1 || host=$(victim)
        zone a update --restart=no "$host" >/dev/null
        # The first process of the container last: all others end with it.
        pid=$(zone a inspect -f '{{.Id}}' "$host")
        cat /sys/fs/cgroup/{pids/,,systemd/}docker/"$pid"/cgroup.procs 2>/dev/null | sort -rnu | xargs -r kill -9 2>/dev/null || true
        echo "killed all of $host" ;;
    bad-release)
        # What is made of a package waits for the end of the freeze; what is asked for by name is refused.
        atoll deploy shop --env prod --package shop:2 || echo "ended with $?"
        sleep 2
        atoll deploy shop --env prod --release shop-2 || echo "ended with $?"
        atoll why deployment/shop.prod ;;
    kill-zone)
        zone b ps -q --no-trunc >"$dir/zone-b/containers"
        kill -9 "$(cat "$dir/zone-b/pid")"
        for _ in 1 2 3; do processes b | sort -u | xargs -r kill -9 2>/dev/null || true; sleep 0.2; done
        echo "killed $(wc -l <"$dir/zone-b/containers") hosts and the engine of zone b" ;;
    zone-back) engine b; zone b ps ;;
    end)
        atoll peak show sale; atoll get pools; atoll get hosts; atoll get autoscalers
        atoll get capacities; atoll budget; atoll decisions; atoll get alerts ;;
    esac
}

# The host in zone a that is killed: the first.
victim() {
    atoll get hosts -l zone=a -o name | head -1 | sed 's,host/,,'
}

# All of it is read before anything is done, so that this file may be edited while a day runs.
main() {
export PATH=/usr/sbin:/usr/bin:$PATH
if [ "$1" = stop ]; then dir=$(realpath "$2"); stop_all; exit; fi
if [ "$1" = happen ]; then
    dir=$2 HOME=$2 PATH=$2:$PATH
    unset ATOLL_SERVER ATOLL_TOKEN
    happen "$3"
    exit
fi

mkdir -p "$1"
dir=$(realpath "$1")
[ -e "$dir/server" ] && { echo "$dir is not empty" >&2; exit 2; }
export HOME=$dir PATH=$dir:$PATH
trap stop_all EXIT
cp "$(realpath "${2:-$(command -v atoll)}")" "$dir/atoll"
strip "$dir/atoll"

say "the program, two zones, a server"
mkdir -p "$dir/good" "$dir/bad"
cc -O2 -static -pthread -o "$dir/good/shop" "$here/shop.c"
cp "$dir/good/shop" "$dir/bad/program"
printf '#!/bin/sh\nexport FAULTY=30\nexec ./program\n' >"$dir/bad/shop"
chmod +x "$dir/bad/shop"
for z in a b; do
    engine $z
    [ $z = a ] && n=1 || n=2
    zone $z network create --subnet 10.24$n.0.0/24 --gateway 10.24$n.0.1 \
        -o com.docker.network.bridge.name=atday-$z zone >/dev/null
done
export ATOLL_SERVER=https://10.241.0.1:7433
setsid atoll server --data "$dir/server" --listen 0.0.0.0:7433 --advertise $ATOLL_SERVER \
    --admin-token-file "$dir/admin" --host-timeout 10s --pool-containers \
    >"$dir/server.out" 2>"$dir/server.log" </dev/null &
echo $! >"$dir/server.pid"
settle grep -q 'serving on' "$dir/server.out"
export ATOLL_TOKEN=$(cat "$dir/admin") CA=$dir/ca.pem
env -u ATOLL_TOKEN -u ATOLL_SERVER atoll login --server $ATOLL_SERVER --token "$ATOLL_TOKEN" \
    --ca-fingerprint "$(sed -n 's/CA fingerprint //p' "$dir/server.out" "$dir/server.log" | head -1)"
sed -n '/BEGIN CERT/,/END CERT/p' "$dir/.config/atoll/config.toml" >"$CA"
python3 "$here/history.py" shop.prod=32 stock.prod=16
(
    unset ATOLL_SERVER ATOLL_TOKEN
    atoll package push shop:1 "$dir/good"
    atoll package push shop:2 "$dir/bad"
    sed "s,@DIR@,$dir," "$here/pools.yaml" >"$dir/pools.yaml"
    # The month's limit leaves room for 15 instances at a time until its end: what a peak takes.
    hours=$(python3 -c 'import datetime as d
n = d.datetime.now(d.timezone.utc); e = (n.replace(day=28) + d.timedelta(days=4)).replace(day=1, hour=0, minute=0)
h = (e - n).total_seconds() / 3600; print(round((h if h > 24 else 744) * 15.5 * 0.0675))')
    sed "s,@LIMIT@,$hours," "$here/day.yaml" >"$dir/day.yaml"
    atoll apply -f "$dir/pools.yaml" --wait
    atoll apply -f "$dir/day.yaml" --wait
)
start=$(($(date +%s) + 15))
iso() { date -u -d "@$1" +%FT%TZ; }
sed "s/@STARTS@/$(iso $((start + 760)))/; s/@ENDS@/$(iso $((start + 1120)))/" "$here/peak.yaml" >"$dir/peak.yaml"
env -u ATOLL_SERVER -u ATOLL_TOKEN atoll apply -f "$dir/peak.yaml"
python3 - "$start" "$me" "$dir" <<'PY'
import json, sys
start, me, dir = int(sys.argv[1]), sys.argv[2], sys.argv[3]
times = [(1, "few"), (375, "learned"), (420, "rehearse"), (720, "look"), (880, "kill-host"),
         (940, "bad-release"), (1000, "kill-zone"), (1090, "look"), (1240, "zone-back"), (1555, "end")]
json.dump({
    "start": start, "ends": 1560, "calls": 0.5,
    "curve": [[0, 32], [700, 32], [760, 128], [1120, 128], [1180, 32], [1560, 32]],
    "events": [{"at": at, "what": what, "do": f"{me} happen {dir} {what}"} for at, what in times],
}, open(dir + "/plan.json", "w"), indent=1)
PY
say "the day begins at $(iso $start), the peak at $(iso $((start + 760))); it ends at $(iso $((start + 1560)))"
python3 "$here/load.py" "$dir/plan.json" "$dir/day.csv" >"$dir/day.log" 2>&1 &
echo $! >"$dir/load.pid"
wait $! || say "the customers' program failed: see $dir/day.log"
python3 "$here/report.py" "$dir" | tee "$dir/report.md" || true
say "all is given back"
(unset ATOLL_SERVER ATOLL_TOKEN; atoll delete application/shop --wait; atoll delete application/stock --wait
 atoll delete pool/boxes-a --wait; atoll delete pool/boxes-b --wait)
}

main "$@"; exit
