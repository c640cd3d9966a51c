package kind

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// script is an engine whose containers are files: c/NAME holds a container's state, l/NAME the cluster that its label names.
const script = `#!/bin/sh
echo "$*" >>"$FAKE/calls"
args="$*"
case "$1" in
info)
	[ ! -e "$FAKE/denied" ] || { cat "$FAKE/denied" >&2; exit 1; }
	cat "$FAKE/info" ;;
image)
	[ -e "$FAKE/image" ] || { echo "Error: No such image: $3" >&2; exit 1; } ;;
run)
	[ ! -e "$FAKE/run-fails" ] || { cat "$FAKE/run-says" >&2; exit "$(cat "$FAKE/run-fails")"; }
	[ ! -e "$FAKE/kernel" ] || cat "$FAKE/kernel" ;;
pull)
	echo "dial tcp: lookup registry-1.docker.io: no such host" >&2
	exit 1 ;;
ps)
	for f in "$FAKE"/c/*; do
		[ -e "$f" ] || continue
		name=$(basename "$f")
		case "$args" in
		*label=io.x-k8s.kind.cluster=*)
			want=${args#*label=io.x-k8s.kind.cluster=}
			[ "$(cat "$FAKE/l/$name")" = "${want%% *}" ] || continue ;;
		esac
		echo "$name"
	done ;;
inspect)
	shift
	[ "$1" != --type ] || shift 2
	format=$2
	shift 2
	code=0
	for name; do
		[ -e "$FAKE/c/$name" ] || { echo "Error: No such container: $name" >&2; code=1; continue; }
		case "$format" in
		*State*) echo "/$name $(cat "$FAKE/c/$name")" ;;
		*) cat "$FAKE/l/$name" ;;
		esac
	done
	exit $code ;;
kill) echo '{"Status":"exited","ExitCode":137}' >"$FAKE/c/$2" ;;
pause) echo '{"Status":"paused","Paused":true}' >"$FAKE/c/$2" ;;
start | unpause) echo '{"Status":"running","StartedAt":"later"}' >"$FAKE/c/$2" ;;
rm)
	[ ! -e "$FAKE/stuck" ] || { echo "Error: device or resource busy" >&2; exit 1; }
	for name; do rm -f "$FAKE/c/$name" "$FAKE/l/$name"; done ;;
network)
	case "$2" in
	ls) [ ! -e "$FAKE/network" ] || cat "$FAKE/network" ;;
	create) for name; do :; done; echo "$name" >"$FAKE/network" ;;
	rm) rm -f "$FAKE/network" ;;
	esac ;;
events)
	while [ -e "$FAKE" ]; do
		if [ -e "$FAKE/event" ]; then rm -f "$FAKE/event"; echo event; fi
		sleep 0.05
	done ;;
esac
`

// fakeDocker is an engine in a directory of the test's.
type fakeDocker struct{ dir string }

const modern = `{"ServerVersion":"27.0.3","CgroupVersion":"2","MemTotal":64000000000,"SecurityOptions":["name=seccomp,profile=default"]}`

// newDocker puts a fake docker in the path, with a runtime directory that nobody has used.
func newDocker(t *testing.T) *fakeDocker {
	t.Helper()
	f := &fakeDocker{t.TempDir()}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, docker), []byte(script), 0o755))
	for _, dir := range []string{"c", "l"} {
		require.NoError(t, os.Mkdir(filepath.Join(f.dir, dir), 0o755))
	}
	f.write(t, "info", modern)
	f.write(t, "image", "")
	t.Setenv("FAKE", f.dir)
	for _, tool := range []string{"basename", "cat", "rm", "sleep"} { // Nothing else: the machine may have engines of its own.
		path, err := exec.LookPath(tool)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(bin, tool)))
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", "")
	return f
}

func (f *fakeDocker) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644))
}

func (f *fakeDocker) remove(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(f.dir, name)))
}

// container adds a container of a cluster.
func (f *fakeDocker) container(t *testing.T, cluster, name, state string) {
	t.Helper()
	f.write(t, "c/"+name, state)
	f.write(t, "l/"+name, cluster+"\n")
}

// containers are the names of those that are there.
func (f *fakeDocker) containers(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.dir, "c"))
	require.NoError(t, err)
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func (f *fakeDocker) has(name string) bool {
	_, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil
}

// calls are the command lines so far.
func (f *fakeDocker) calls(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// up is the state of a container that does its work.
const up = `{"Status":"running","StartedAt":"first"}`
