package dockerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func daemon(t *testing.T) *Daemon {
	t.Helper()
	o := Defaults()
	o.Run, o.Data, o.Log = filepath.Join(t.TempDir(), "run"), t.TempDir(), slog.New(slog.DiscardHandler)
	return &Daemon{o}
}

func TestState(t *testing.T) {
	t.Parallel()
	d := daemon(t)
	s, err := d.load()
	require.NoError(t, err)
	require.Nil(t, s)
	host, err := d.Running()
	require.NoError(t, err)
	require.Empty(t, host)

	require.NoError(t, d.save(&state{Sysctls: map[string]string{"a": "1"}}))
	s, err = d.load()
	require.NoError(t, err)
	require.False(t, s.own(), "without rules of the firewall, the daemon is the machine's")
	require.NoError(t, d.save(&state{Firewall: map[string]string{}}))
	s, err = d.load()
	require.NoError(t, err)
	require.True(t, s.own())

	started, err := startTime("/proc", os.Getpid())
	require.NoError(t, err)
	for _, c := range []struct {
		pid     int
		started string
		want    string
	}{
		{os.Getpid(), started, d.Host()}, {os.Getpid(), "another process", ""}, {0, "", ""},
	} {
		require.NoError(t, d.save(&state{PID: c.pid, Started: c.started, Firewall: map[string]string{}}))
		host, err = d.Running()
		require.NoError(t, err)
		require.Equal(t, c.want, host)
	}

	require.NoError(t, os.WriteFile(d.stateFile(), []byte("half"), 0o600))
	_, err = d.load()
	require.ErrorContains(t, err, d.stateFile())
}

// TestDaemonIsWhatItWasStartedAs: who stops it, or starts it again, need not say where it is.
func TestDaemonIsWhatItWasStartedAs(t *testing.T) {
	t.Parallel()
	started := daemon(t)
	started.Data, started.Address, started.Pool = "/disk", netip.MustParsePrefix("10.8.0.1/24"), netip.MustParsePrefix("10.9.0.0/16")
	s, err := started.observe(t.Context(), &state{Firewall: map[string]string{}})
	require.NoError(t, err)
	require.NoError(t, started.save(s))

	d := daemon(t)
	d.Run = started.Run
	s, err = d.load()
	require.NoError(t, err)
	d.adopt(s)
	require.Equal(t, started.Options, d.Options)

	defaults := daemon(t)
	d = &Daemon{defaults.Options}
	for _, s := range []*state{nil, {Sysctls: map[string]string{}, Data: "/disk"}, {Firewall: map[string]string{}}} {
		d.adopt(s)
		require.Equal(t, defaults.Options, d.Options, "there is none of ours, or it is of a version that did not note it")
	}
}

func TestWhatWasAbsentIsRemoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.Equal(t, []string{"lib/modules"}, absent(root))
	require.NoError(t, removeMade(root, []string{"lib/modules"}), "nobody has made it")
	modules := filepath.Join(root, "lib", "modules")
	require.NoError(t, os.MkdirAll(filepath.Join(modules, "6.1"), 0o755))
	require.Empty(t, absent(root))
	require.NoError(t, removeMade(root, []string{"lib/modules"}))
	require.DirExists(t, modules, "somebody has put something in it")
	require.NoError(t, os.Remove(filepath.Join(modules, "6.1")))
	require.NoError(t, removeMade(root, nil))
	require.DirExists(t, modules, "it was there")
	require.NoError(t, removeMade(root, []string{"lib/modules"}))
	require.NoDirExists(t, modules)
}

func TestStopOfNothing(t *testing.T) {
	t.Parallel()
	d := daemon(t)
	require.NoError(t, d.Stop(t.Context(), false))
	require.DirExists(t, d.Data)
	require.NoError(t, d.Stop(t.Context(), true))
	require.NoDirExists(t, d.Data)
}

// stats makes a directory like /proc.
func stats(t *testing.T, all ...process) string {
	t.Helper()
	proc := t.TempDir()
	for _, p := range all {
		dir := filepath.Join(proc, strconv.Itoa(p.PID))
		require.NoError(t, os.Mkdir(dir, 0o755))
		text := fmt.Sprintf("%d (a) b) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n", p.PID, p.Parent)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte(text), 0o644))
		command := strings.ReplaceAll(p.Command, " ", "\x00") + "\x00"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cmdline"), []byte(command), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(proc, "9999"), 0o755), "a process that has ended")
	require.NoError(t, os.Mkdir(filepath.Join(proc, "self"), 0o755))
	return proc
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	all := []process{
		{10, 1, "/usr/sbin/dockerd --exec-root /run/d/exec"},
		{11, 10, "containerd --config /run/d/exec/containerd/containerd.toml"},
		{12, 1, "/usr/bin/containerd-shim-runc-v2 -address /run/d/exec/containerd/containerd.sock"},
		{13, 12, "/sbin/init"},
		{14, 13, "kubelet"},
		{20, 1, "/usr/sbin/dockerd"},
		{21, 1, "tail -f /run/d/docker.log"},
	}
	proc := stats(t, all...)
	got, err := processes(proc)
	require.NoError(t, err)
	require.ElementsMatch(t, all, got)
	require.Equal(t, all[:4], belonging(all, "/run/d/"))

	started, err := startTime(proc, 12)
	require.NoError(t, err)
	require.Equal(t, "4711", started)
	_, err = startTime(proc, 9999)
	require.True(t, gone(err))
}

func TestSysctls(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, value string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(value+"\n"), 0o644))
	}
	const overcommit, panics, forward = "proc/sys/vm/overcommit_memory", "proc/sys/kernel/panic", "proc/sys/net/ipv4/ip_forward"
	write(overcommit, "0")
	write(panics, "0")
	write(forward, "1")
	saved := readSysctls(root)
	require.Equal(t, map[string]string{overcommit: "0", panics: "0", forward: "1"}, saved)

	write(overcommit, "1")
	write(panics, "10")
	require.NoError(t, os.Remove(filepath.Join(root, forward)))
	write("proc/sys/kernel/sysrq", "1")
	restored, err := restoreSysctls(root, saved)
	require.NoError(t, err)
	require.Equal(t, []string{panics, overcommit}, restored)
	require.Equal(t, map[string]string{overcommit: "0", panics: "0", "proc/sys/kernel/sysrq": "1"}, readSysctls(root))
}

const before = `# Generated by iptables-save
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
COMMIT
`

const after = `*filter
:INPUT ACCEPT [12:3456]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:MINE - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -s 10.1.0.0/16 -j MINE
-A FORWARD -j DOCKER-USER
-A FORWARD -o gameday0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.30.0.0/24 ! -o eth7 -j MASQUERADE
-A POSTROUTING -s 0.0.0.0/0 -j ACCEPT
-A DOCKER -i gameday0 -j RETURN
COMMIT
`

func TestUndo(t *testing.T) {
	t.Parallel()
	d := daemon(t)
	require.Equal(t, `*filter
:FORWARD ACCEPT [0:0]
-D FORWARD -j DOCKER-USER
-D FORWARD -o gameday0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-D FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT
-F DOCKER
-F DOCKER-USER
-X DOCKER
-X DOCKER-USER
COMMIT
*nat
-D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-D POSTROUTING -s 172.30.0.0/24 ! -o eth7 -j MASQUERADE
-F DOCKER
-X DOCKER
COMMIT
`, undo(before, after, d.ours))
	require.Empty(t, undo(after, after, d.ours), "what was there before stays")
	require.Empty(t, undo("", "", d.ours))
}

func TestConflict(t *testing.T) {
	t.Parallel()
	d := daemon(t)
	own := link{"gameday0", []netip.Prefix{d.Address}}
	network := link{"br-0123456789ab", []netip.Prefix{netip.MustParsePrefix("172.30.3.1/24")}}
	other := link{"br-0123456789ac", []netip.Prefix{netip.MustParsePrefix("10.9.0.1/16")}}
	require.True(t, d.networkBridge(network))
	require.False(t, d.networkBridge(other))
	require.NoError(t, d.conflict([]link{own, network, other, {"eth0", []netip.Prefix{netip.MustParsePrefix("192.168.1.7/24")}}}))
	require.ErrorContains(t, d.conflict([]link{{"eth0", []netip.Prefix{netip.MustParsePrefix("172.30.200.7/24")}}}), "-pool")
	require.ErrorContains(t, d.conflict([]link{{"eth0", []netip.Prefix{netip.MustParsePrefix("172.31.250.9/20")}}}), "eth0")
}

func TestWait(t *testing.T) {
	t.Parallel()
	d := daemon(t)
	require.NoError(t, os.MkdirAll(d.Run, 0o755))
	require.NoError(t, os.WriteFile(d.logFile(), []byte("failed to start daemon: no bridge\n"), 0o644))
	exited := make(chan error, 1)
	exited <- errors.New("exit status 1")
	err := d.wait(t.Context(), exited)
	require.ErrorContains(t, err, "start dockerd: it ended: exit status 1")
	require.ErrorContains(t, err, "no bridge")
	require.ErrorIs(t, err, errEnded)

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", d.socket())
	require.NoError(t, err)
	var calls atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 || r.URL.Path != "/_ping" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	defer server.Close()
	require.NoError(t, d.wait(t.Context(), nil), "a daemon may answer later")
	require.EqualValues(t, 2, calls.Load())
}

// TestStartedAgain: a daemon that ends at once is started again, and one that fails otherwise is not.
func TestStartedAgain(t *testing.T) {
	t.Parallel()
	ended, broken := fmt.Errorf("start dockerd: %w", errEnded), errors.New("broken")
	for _, tc := range []struct {
		outcomes []error
		want     error
		calls    int
	}{
		{[]error{nil}, nil, 1},
		{[]error{ended, nil}, nil, 2},
		{[]error{ended, ended, ended, nil}, errEnded, 3},
		{[]error{broken, nil}, broken, 1},
		{[]error{ended, broken, nil}, broken, 2},
	} {
		calls := 0
		err := again(3, func() error { calls++; return tc.outcomes[calls-1] }, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, tc.want)
		require.Equal(t, tc.calls, calls)
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	looks := 0
	require.NoError(t, until(t.Context(), time.Minute, func() (bool, error) { looks++; return looks == 3, nil }))
	require.Equal(t, 3, looks)
	require.ErrorIs(t, until(t.Context(), time.Millisecond, func() (bool, error) { return false, nil }), context.DeadlineExceeded)
	broken := errors.New("broken")
	require.ErrorIs(t, until(t.Context(), time.Minute, func() (bool, error) { return false, broken }), broken)
}
