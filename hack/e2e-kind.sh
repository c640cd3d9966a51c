#!/usr/bin/env bash
# Runs the tests on kind clusters: hack/e2e-kind.sh [arguments of go test, for example -run TestSmoke]
#
# Where Docker runs and the registry of kind's node images answers, the stock image and the public images of Chaos Mesh are used.
# Elsewhere hack/kindnode installs and starts Docker where it does not run, and builds all of it from Debian packages and Go modules;
# it says what it made in $GAMEDAY_CACHE/kindnode/env. Variables that are set already win: GAMEDAY_KIND_NODE_IMAGE,
# GAMEDAY_CHAOS_MESH_CHART, GAMEDAY_CHAOS_MESH_IMAGES, DOCKER_HOST.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
: "${GAMEDAY_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/gameday}"
export GAMEDAY_CACHE
made="$GAMEDAY_CACHE/kindnode/env"

# hack/kindnode is a module of its own.
kindnode() { (cd hack/kindnode && "${GO:-go}" run . "$@"); }

docker_runs() { command -v docker >/dev/null && timeout 30 docker info >/dev/null 2>&1; }

registry_answers() { timeout 60 docker manifest inspect kindest/node:v1.35.0 >/dev/null 2>&1; }

# use_made exports what hack/kindnode made, but not over what is set.
use_made() {
  [ -f "$made" ] || return 0
  local line name
  while IFS= read -r line; do
    line=${line#export }
    name=${line%%=*}
    case $name in
      GAMEDAY_KIND_NODE_IMAGE | GAMEDAY_CHAOS_MESH_CHART | GAMEDAY_CHAOS_MESH_IMAGES | DOCKER_HOST)
        [ -n "${!name:-}" ] || eval "export $line" ;;
    esac
  done <"$made"
}

stop_daemon() { kindnode dockerd stop || echo "warning: the Docker daemon of hack/kindnode was not stopped" >&2; }

if [ -n "${GAMEDAY_KIND_NODE_IMAGE:-}" ] && docker_runs; then
  echo "kind: with the node image $GAMEDAY_KIND_NODE_IMAGE, as the environment says"
elif docker_runs && registry_answers; then
  echo "kind: with the stock node image"
else
  echo "kind: no Docker, or no registry that answers: building a node image"
  if ! docker_runs; then
    trap stop_daemon EXIT
    kindnode dockerd start
    unset DOCKER_HOST # Nobody answers there.
    use_made
    # This daemon is ours, so a test may kill it, and starts it again with this.
    export GAMEDAY_E2E_DOCKERD="cd hack/kindnode && ${GO:-go} run . dockerd start"
  fi
  make kindnode
  use_made
  echo "kind: with the node image ${GAMEDAY_KIND_NODE_IMAGE:?hack/kindnode has not said which}"
fi

# One package at a time: its clusters want the machine for themselves. -v shows what was not possible here, and why.
"${GO:-go}" test -tags kind -v -count 1 -p 1 -timeout 4h -ldflags '-s -w' ./orchestrator/cluster/kind/e2e ./orchestrator/scaleout/e2e "$@"
