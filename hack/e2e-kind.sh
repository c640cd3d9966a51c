#!/usr/bin/env bash
# Runs the tests on kind clusters: hack/e2e-kind.sh [arguments of go test, for example -run TestE2E/partition]
#
# Where Docker runs and the registry of kind's node images answers, the stock image and the public images of Chaos Mesh are used.
# Elsewhere hack/kindnode installs and starts Docker where it does not run, and builds all of it from Debian packages and Go modules;
# it says what it made in $GAMEDAY_CACHE/kindnode/env. At the end the machine is as it was: the daemon that was started is stopped, the
# kernel's settings that nodes change are put back, and containers that a failed test has left are named and removed.
#
# Variables that are set already win: GAMEDAY_KIND_NODE_IMAGE, GAMEDAY_CHAOS_MESH_CHART, GAMEDAY_CHAOS_MESH_IMAGES, DOCKER_HOST.
#   GAMEDAY_E2E_BUDGET     minutes for the tests, 45 where it is empty, 0 for no end; the node image is not counted
#   GAMEDAY_E2E_DEADLINE   instead: the second since 1970 at which the time is over, the node image counted
#   GAMEDAY_E2E_UNTESTED   a file. Where this machine cannot run containers the reason is written to it, and that is no failure
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
: "${GAMEDAY_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/gameday}"
export GAMEDAY_CACHE
made="$GAMEDAY_CACHE/kindnode/env"
daemon_state=/run/gameday-docker/state.json

say() { echo "kind ($(date -u +%H:%M:%S)): $*"; }

# timed runs a command, says how long it took, and returns its exit code.
timed() {
  local what=$1 began=$SECONDS code=0
  shift
  say "$what ..."
  "$@" || code=$?
  say "$what: $((SECONDS - began)) s, exit code $code"
  return "$code"
}

# cannot ends the test on a machine that cannot run containers. Nobody is to think that something was tested.
cannot() {
  say "NOT TESTED: this machine cannot run containers: $1" >&2
  [ -n "${GAMEDAY_E2E_UNTESTED:-}" ] || exit 69
  echo "$1" >"$GAMEDAY_E2E_UNTESTED"
  exit 0
}

# hack/kindnode is a module of its own.
kindnode() { (cd hack/kindnode && "${GO:-go}" run . "$@"); }

root() { [ "$(id -u)" = 0 ]; }

docker_runs() { command -v docker >/dev/null && timeout 60 docker info >/dev/null 2>&1; }

registry_answers() { timeout 60 docker manifest inspect kindest/node:v1.35.0 >/dev/null 2>&1; }

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

# nodes are the containers of gameday's kind clusters, of whatever owner.
nodes() { docker ps --all --quiet --no-trunc --filter label=io.x-k8s.kind.cluster --filter name=^gameday- 2>/dev/null | sort || true; }

before=
counted=
started=
ours=
restore() {
  local code=$? left=
  trap - EXIT
  # A daemon of ours that a test has killed is the only one that knows what was left in it, and would start it again next time.
  [ -z "$counted" ] || [ -z "$ours" ] || docker_runs || timed 'Docker daemon again' kindnode dockerd start || true
  # What was there before is somebody else's.
  [ -z "$counted" ] || left=$(comm -13 <(echo "$before") <(nodes) | tr '\n' ' ')
  if [ -n "${left// /}" ]; then
    say "a test that failed left containers behind, which are removed: $left" >&2
    # shellcheck disable=SC2086 # Each is a word.
    docker rm --force --volumes $left >/dev/null || say "not all of them were removed" >&2
    # Of their networks those that nobody is in; of others the engine refuses to remove.
    docker network ls --quiet --filter label=dev.gameday.owner | xargs --no-run-if-empty docker network rm >/dev/null 2>&1 || true
  fi
  if [ -n "$started" ] && ! timed 'put the machine back' kindnode dockerd stop; then
    say "the machine is not as it was: run bin/kindnode dockerd stop as root" >&2
    [ "$code" != 0 ] || code=1
  fi
  exit "$code"
}

# A daemon of hack/kindnode's may run already.
docker_runs || { unset DOCKER_HOST; use_made DOCKER_HOST; }
if docker_runs && [ -e "$daemon_state" ]; then
  say "with the Docker daemon as bin/kindnode dockerd start left it"
elif root; then
  if ! docker_runs; then
    ours=yes
    unset DOCKER_HOST # Nobody answers there.
    [ -n "$(ls -A /sys/fs/cgroup 2>/dev/null)" ] || cannot 'there are no control groups in /sys/fs/cgroup'
    unshare --mount --net --uts true 2>/dev/null || cannot 'this process may not make namespaces (CAP_SYS_ADMIN)'
  fi
  started=yes
  trap restore EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  timed 'Docker daemon' kindnode dockerd start || { say 'FAILED: there is no Docker daemon; the reason is above' >&2; exit 1; }
  if [ -n "$ours" ]; then
    use_made DOCKER_HOST
    # This daemon is ours, so a test may kill it, and starts it again with this.
    export GAMEDAY_E2E_DOCKERD="cd hack/kindnode && ${GO:-go} run . dockerd start"
  fi
elif docker_runs; then
  say 'warning: not root: what nodes change in the settings of the kernel is not put back' >&2
else
  cannot 'no Docker daemon answers, and it takes root to start one'
fi
docker_runs || { say 'the Docker daemon does not answer' >&2; exit 1; }
before=$(nodes)
counted=yes
[ -n "$started" ] || trap restore EXIT

if [ -n "${GAMEDAY_KIND_NODE_IMAGE:-}" ]; then
  say "with the node image $GAMEDAY_KIND_NODE_IMAGE, as the environment says"
elif registry_answers; then
  say 'with the stock node image'
elif root; then
  timed 'node image, for no registry answers' make kindnode
  use_made GAMEDAY_KIND_NODE_IMAGE GAMEDAY_CHAOS_MESH_CHART
  say "with the node image ${GAMEDAY_KIND_NODE_IMAGE:?hack/kindnode has not said which}"
else
  say 'no registry answers, and it takes root to build a node image: run make kindnode as root, or set GAMEDAY_KIND_NODE_IMAGE' >&2
  exit 1
fi

now=$(date +%s)
if [ -z "${GAMEDAY_E2E_DEADLINE:-}" ]; then
  budget=${GAMEDAY_E2E_BUDGET:-45}
  GAMEDAY_E2E_DEADLINE=$((budget > 0 ? now + budget * 60 : 0))
fi
export GAMEDAY_E2E_DEADLINE
# What matters most is played whatever the time; a test that hangs must not last for ever.
limit=240
[ "$GAMEDAY_E2E_DEADLINE" = 0 ] || limit=$((GAMEDAY_E2E_DEADLINE > now ? (GAMEDAY_E2E_DEADLINE - now) / 60 + 45 : 45))

# Arguments that name tests go to the package that has them, and the other one is left out.
only=
case "$*" in
  *TestScaleOut*) only=scaleout ;;
  *-run*) only=kind ;;
esac

# One package at a time: its clusters want the machine for themselves. -v shows what was not possible here, and why; the first failure is
# the last test.
[ "$only" = scaleout ] ||
  timed tests "${GO:-go}" test -tags kind -v -count 1 -p 1 -failfast -timeout "${limit}m" -ldflags '-s -w' ./orchestrator/cluster/kind/e2e "$@"
[ "$only" != kind ] || exit 0

# Runs in pods take about as long as this, so they are played where that is left, or where they are asked for.
scaleout=50
now=$(date +%s)
if [ "$only" = scaleout ] || [ "$GAMEDAY_E2E_DEADLINE" = 0 ] || [ $((now + scaleout * 60)) -lt "$GAMEDAY_E2E_DEADLINE" ]; then
  # The timeout is longer than all that the tests wait for one after the other.
  timed 'tests of runs in pods' "${GO:-go}" test -tags kind -v -count 1 -failfast -timeout 6h -ldflags '-s -w' ./orchestrator/scaleout/e2e "$@"
else
  say "runs in pods are left out: $scaleout minutes are not left; play them with: make e2e-kind ARGS='-run TestScaleOut'"
fi
