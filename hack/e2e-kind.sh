#!/usr/bin/env bash
# Runs the tests on kind clusters: hack/e2e-kind.sh [arguments of go test, for example -run TestE2E/partition]
#
# Where Docker runs and the registry of kind's node images answers, the stock image and the public images of Chaos Mesh are used.
# Elsewhere hack/kindnode installs and starts Docker where it does not run, and builds all of it from Debian packages and Go modules;
# it says what it made in $GAMEDAY_CACHE/kindnode/env. At the end the machine is as it was: the daemon that was started is stopped, the
# kernel's settings that nodes change are put back, and what a failed test has left in Docker is named and removed. What a killed run of
# this script has left is taken away by the next one.
#
# Variables that are set already win: GAMEDAY_KIND_NODE_IMAGE, GAMEDAY_CHAOS_MESH_CHART, GAMEDAY_CHAOS_MESH_IMAGES, DOCKER_HOST.
#   GAMEDAY_E2E_BUDGET     minutes for the tests, 45 where it is empty, 0 for no end; the node image is not counted
#   GAMEDAY_E2E_DEADLINE   instead: the second since 1970 at which the time is over, the node image counted. Then the tests have ended, in
#                          whatever way; to put the machine back takes up to four minutes more
#   GAMEDAY_E2E_UNTESTED   a file. Where this machine cannot run the tests, or not in the time, the reason is written to it, and that is
#                          no failure
set -euo pipefail
cd "$(dirname "$0")/.."

# number refuses what is no whole number: otherwise that would be found out after half an hour.
number() {
  [[ $2 =~ ^(0|[1-9][0-9]{0,11})?$ ]] && return
  echo "error: $1 is \"$2\", want a whole number" >&2
  exit 2
}
number GAMEDAY_E2E_BUDGET "${GAMEDAY_E2E_BUDGET:-}"
number GAMEDAY_E2E_DEADLINE "${GAMEDAY_E2E_DEADLINE:-}"

export CGO_ENABLED=0
: "${GAMEDAY_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/gameday}"
export GAMEDAY_CACHE
made="$GAMEDAY_CACHE/kindnode/env"
daemon_dir=/run/gameday-docker
# marker is beside the state of a daemon that this script has started. It names the file of owners, see below.
marker=$daemon_dir/e2e
# given is the end that was given, 0 where there is none.
given=${GAMEDAY_E2E_DEADLINE:-0}

say() { echo "kind ($(date -u +%H:%M:%S)): $*"; }

# timed runs a command, says how long it took, and returns its exit code. A daemon that it starts does not keep our lock, see below.
timed() {
  local what=$1 began=$SECONDS code=0
  shift
  say "$what ..."
  "$@" 9<&- || code=$?
  say "$what: $((SECONDS - began)) s, exit code $code"
  return "$code"
}

# cannot ends the test where it is not possible. Nobody is to think that something was tested.
cannot() {
  say "NOT TESTED: $1" >&2
  [ -n "${GAMEDAY_E2E_UNTESTED:-}" ] || exit 69
  echo "$1" >"$GAMEDAY_E2E_UNTESTED"
  exit 0
}

# left is how many seconds there are until the end that was given, at least none.
left() {
  local now
  now=$(date +%s)
  echo $((given > now ? given - now : 0))
}

# takes ends the test where an end was given, and what comes next takes more minutes than there are.
takes() {
  [ "$given" = 0 ] || [ "$(left)" -ge $(($1 * 60)) ] || cannot "no time: $(($(left) / 60)) minutes are left, and $2 takes $1"
}

# within is the limit of a test binary: what is left until the end that was given, for the machine has to be put back then; without
# one, so many minutes, for a test that hangs must not last for ever.
within() {
  local seconds=$(($1 * 60))
  [ "$given" = 0 ] || seconds=$(left)
  echo "$((seconds > 60 ? seconds : 60))s"
}

# hack/kindnode is a module of its own.
kindnode() { (cd hack/kindnode && "${GO:-go}" run . "$@") 9<&-; }

root() { [ "$(id -u)" = 0 ]; }

docker_runs() { command -v docker >/dev/null && timeout 60 docker info >/dev/null 2>&1; }

registry_answers() { timeout 60 docker manifest inspect kindest/node:v1.35.0 >/dev/null 2>&1; }

# networks_work is false where there is not what a Docker daemon makes its networks of; it takes the daemon's packages to tell.
networks_work() {
  local PATH=$PATH:/usr/sbin:/sbin
  command -v ip >/dev/null && command -v iptables >/dev/null || return 0
  ip link add gkprobe type bridge 2>/dev/null && ip link delete gkprobe && iptables -t nat -S >/dev/null 2>&1
}

# use_made exports these variables as hack/kindnode wrote them, but not over what is set.
use_made() {
  [ -f "$made" ] || return 0
  local line name
  while IFS= read -r line; do
    line=${line#export }
    name=${line%%=*}
    case " $* " in
      *" $name "*) [ -n "${!name:-}" ] || eval "export $line" ;;
    esac
  done <"$made"
}

# Tests write here whose clusters they make, one tag on each line: what has it in its name is theirs, and nobody else's.
owners=$(mktemp "${TMPDIR:-/tmp}/gameday-e2e-owners.XXXXXX")
export GAMEDAY_E2E_OWNERS=$owners

# nodes are the names of the containers of gameday's kind clusters that match a regular expression.
nodes() { timeout 60 docker ps --all --filter label=io.x-k8s.kind.cluster --filter "name=$1" --format '{{.Names}}' 2>/dev/null | sort || true; }

# remove_left removes what the owners have left in Docker, and says so. Of the networks it removes those that nobody is in.
remove_left() {
  local owner names
  while IFS= read -r owner; do
    names=$(nodes "^gameday-$owner-" | tr '\n' ' ')
    if [ -n "${names// /}" ]; then
      say "containers were left behind, which are removed: $names" >&2
      # shellcheck disable=SC2086 # Each is a word.
      timeout 120 docker rm --force --volumes $names >/dev/null || say 'not all of them were removed' >&2
    fi
    timeout 60 docker network ls --quiet --filter "label=dev.gameday.owner=$owner" |
      timeout 60 xargs --no-run-if-empty docker network rm >/dev/null 2>&1 || true
  done < <(sort -u "$owners")
}

counted=
started=
ours=
restore() {
  local code=$?
  trap - EXIT
  # A daemon of ours that a test has killed is the only one that knows what was left in it, and would start it again next time.
  [ -z "$counted" ] || [ -z "$ours" ] || docker_runs || timed 'Docker daemon again' kindnode dockerd start || true
  [ -z "$counted" ] || remove_left
  if [ -n "$started" ] && ! timed 'put the machine back' kindnode dockerd stop; then
    say "the machine is not as it was: run bin/kindnode dockerd stop as root" >&2
    [ "$code" != 0 ] || code=1
    exit "$code" # The next run finds the marker, and tries again.
  fi
  if [ -n "$started" ]; then
    rm -f "$marker"
    rmdir "$daemon_dir" 2>/dev/null || true
  fi
  rm -f "$owners"
  exit "$code"
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

takes 15 'what is always tested'

# Scripts that use the machine's daemon hold this lock together, until they end in whatever way; who gets it alone may start and stop
# the daemon. It is on a directory that there is anyway.
alone=
if root && [ -d /run ] && command -v flock >/dev/null; then
  exec 9</run
  if flock -n 9; then alone=yes; else flock -s 9; fi
fi
if [ -n "$alone" ] && [ -f "$marker" ]; then
  say 'a run before this one was killed: what it has left is taken away first'
  killed=$(cat "$marker")
  cat "$killed" >>"$owners" 2>/dev/null || true
  timed 'put the machine back' kindnode dockerd stop || { say 'FAILED: the machine is not as it was; the reason is above' >&2; exit 1; }
  rm -f "$marker" "$killed"
fi

# A daemon of hack/kindnode's may run already.
docker_runs || { unset DOCKER_HOST; use_made DOCKER_HOST; }
if docker_runs && [ -e "$daemon_dir/state.json" ]; then
  say "with the Docker daemon as bin/kindnode dockerd start left it"
  # It is of this project, but what somebody else has in it would end with it.
  if [ -n "$alone" ] && [ "${DOCKER_HOST:-}" = "unix://$daemon_dir/docker.sock" ] && [ -z "$(docker ps --quiet)" ]; then ours=yes; fi
elif root; then
  if ! docker_runs; then
    ours=yes
    unset DOCKER_HOST # Nobody answers there.
    [ -n "$(ls -A /sys/fs/cgroup 2>/dev/null)" ] || cannot 'this machine cannot run containers: there are no control groups in /sys/fs/cgroup'
    unshare --mount --net --uts true 2>/dev/null ||
      cannot 'this machine cannot run containers: this process may not make namespaces (CAP_SYS_ADMIN)'
  fi
  started=yes
  mkdir -p -m 711 "$daemon_dir"
  echo "$owners" >"$marker"
  if ! timed 'Docker daemon' kindnode dockerd start; then
    [ -z "$ours" ] || networks_work ||
      cannot 'this machine cannot run containers: it has no bridges, or no table nat of iptables'
    say 'FAILED: there is no Docker daemon; the reason is above' >&2
    exit 1
  fi
  [ -z "$ours" ] || use_made DOCKER_HOST
elif docker_runs; then
  say 'warning: not root: what nodes change in the settings of the kernel is not put back' >&2
else
  cannot 'this machine cannot run containers: no Docker daemon answers, and it takes root to start one'
fi
docker_runs || { say 'the Docker daemon does not answer' >&2; exit 1; }
[ -z "$alone" ] || flock -s 9
# A daemon that is ours may be killed by a test, which starts it again with this.
[ -z "$ours" ] || export GAMEDAY_E2E_DOCKERD="cd hack/kindnode && ${GO:-go} run . dockerd start"
remove_left # Of a run that was killed.
counted=yes

# build_image makes the node image, and says which it is.
build_image() {
  local code=0 bound=()
  if [ "$given" != 0 ]; then
    kindnode build -check >/dev/null 2>&1 || takes 45 'to build a node image and to test with it'
    local seconds=$(($(left) - 15 * 60))
    bound=(timeout --foreground --kill-after=60 "$((seconds > 120 ? seconds : 120))")
  fi
  # make hands ARGS down: ours are for go test.
  timed 'node image, for no registry answers' "${bound[@]}" make kindnode ARGS= || code=$?
  case $code in
    0) ;;
    124 | 137) cannot 'no time: the node image was not built soon enough; what is there of it is kept for the next time' ;;
    *) say 'FAILED: there is no node image; the reason is above' >&2; exit "$code" ;;
  esac
  use_made GAMEDAY_KIND_NODE_IMAGE GAMEDAY_CHAOS_MESH_CHART
  say "with the node image ${GAMEDAY_KIND_NODE_IMAGE:?hack/kindnode has not said which}"
}

# stock_image is the name of the image that gameday uses where it is told of no other.
stock_image() { sed -n 's/^[[:space:]]*DefaultNodeImage = "\(.*\)"$/\1/p' orchestrator/cluster/kind/layout.go; }

if [ -n "${GAMEDAY_KIND_NODE_IMAGE:-}" ]; then
  say "with the node image $GAMEDAY_KIND_NODE_IMAGE, as the environment says"
elif registry_answers; then
  say 'with the stock node image'
  timed 'pull the node image' timeout 1200 docker pull --quiet "$(stock_image)" || true # The tests say what is wrong.
elif root; then
  build_image
else
  cannot 'no registry answers, and it takes root to build a node image: run make kindnode as root, or set GAMEDAY_KIND_NODE_IMAGE'
fi

# A node is a privileged container. Not every daemon that answers can run one.
image=${GAMEDAY_KIND_NODE_IMAGE:-$(stock_image)} probe=gameday-probe-$$
if docker image inspect "$image" >/dev/null 2>&1 &&
  ! said=$(timeout 120 docker run --rm --name "$probe" --privileged --network none --entrypoint true "$image" 2>&1); then
  timeout 60 docker rm --force "$probe" >/dev/null 2>&1 || true
  case $said in
    *'executable file not found'*) say "FAILED: $image is no node image: $said" >&2; exit 1 ;;
  esac
  cannot "this machine cannot run containers: $(head -n 1 <<<"${said:-a privileged one does not end}")"
fi

minutes=240
if [ "$given" != 0 ]; then
  # No step takes exactly as long as is thought.
  GAMEDAY_E2E_DEADLINE=$((given - 5 * 60))
elif [ -n "${GAMEDAY_E2E_DEADLINE:-}" ] || [ "${GAMEDAY_E2E_BUDGET:-45}" = 0 ]; then
  GAMEDAY_E2E_DEADLINE=0
else
  # What matters most is played whatever the time.
  minutes=$((${GAMEDAY_E2E_BUDGET:-45} + 45))
  GAMEDAY_E2E_DEADLINE=$(($(date +%s) + ${GAMEDAY_E2E_BUDGET:-45} * 60))
fi
export GAMEDAY_E2E_DEADLINE

# Arguments that name tests go to the package that has them, and the other one is left out.
only=
case "$*" in
  *TestScaleOut*) only=scaleout ;;
  *-run*) only=kind ;;
esac

# One package at a time: its clusters want the machine for themselves. -v shows what was not possible here, and why; the first failure is
# the last test.
[ "$only" = scaleout ] ||
  timed tests "${GO:-go}" test -tags kind -v -count 1 -p 1 -failfast -timeout "$(within "$minutes")" -ldflags '-s -w' ./orchestrator/cluster/kind/e2e "$@"
[ "$only" != kind ] || exit 0

# Runs in pods take about as long as this, so they are played where that is left, or where they are asked for.
scaleout=20
now=$(date +%s)
if [ "$only" = scaleout ] || [ "$GAMEDAY_E2E_DEADLINE" = 0 ] || [ $((now + scaleout * 60)) -lt "$GAMEDAY_E2E_DEADLINE" ]; then
  # The timeout is longer than all that the tests wait for one after the other.
  timed 'tests of runs in pods' "${GO:-go}" test -tags kind -v -count 1 -failfast -timeout "$(within 360)" -ldflags '-s -w' ./orchestrator/scaleout/e2e "$@"
else
  say "runs in pods are left out: $scaleout minutes are not left; play them with: make e2e-kind ARGS='-run TestScaleOut'"
fi
