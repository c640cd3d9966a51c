package shell_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// fakeNet knows the names that it is told, and dials loopback.
type fakeNet struct{ hosts map[string]string }

func (n fakeNet) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if to, ok := n.hosts[host]; ok {
		address = to
		if !strings.Contains(to, ":") {
			address = net.JoinHostPort(to, port)
		}
	} else if net.ParseIP(host) == nil {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (n fakeNet) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.New("not here")
}

func (n fakeNet) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	return nil, errors.New("not here")
}

func (n fakeNet) LookupHost(_ context.Context, host string) ([]string, error) {
	if to, ok := n.hosts[host]; ok {
		return []string{to}, nil
	}
	if host == "geo-1" { // The pod's own line of /etc/hosts.
		return []string{"10.244.0.7"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

type box struct {
	sys  *program.Sys
	root string
	// stdin is what each run reads: a reader of its own, because the interpreter reads ahead.
	stdin string
	out   bytes.Buffer
	err   bytes.Buffer
}

func newBox(t *testing.T) *box {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"app", "etc", "tmp", "var/log"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	files := map[string]string{
		"etc/resolv.conf": "nameserver 10.96.0.10\nsearch hotel.svc.cluster.local svc.cluster.local\noptions ndots:5\n",
		"app/config.yaml": "port: 8080\ndb: mysql-geo\n# comment\nport: 9090\n",
		"app/numbers":     "10\n9\n2\n2\n33\n",
		"app/table":       "a:1:x\nb:2:y\nc:3:z\n",
	}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	tree, err := sandbox.NewTree(&sandbox.Container{Root: root, Cwd: "/app"})
	require.NoError(t, err)
	b := &box{root: root}
	image := &program.Image{
		Repository: "registry.local/hotel/geo", Entrypoint: []string{"/geo"},
		Program: func(context.Context, *program.Sys) error { return nil },
		Commands: map[string]program.Func{"mysql": func(_ context.Context, sys *program.Sys) error {
			if len(sys.Args) == 0 {
				return &program.ExitError{Code: 3, Err: errors.New("ERROR 1045 (28000): Access denied")}
			}
			_, err := sys.Stdout.Write([]byte("mysql " + strings.Join(sys.Args, "|") + " pw=" + sys.Getenv("MYSQL_PWD") + "\n"))
			return err
		}},
	}
	b.sys = &program.Sys{
		Net: fakeNet{hosts: map[string]string{}}, Files: tree, Env: map[string]string{"SERVICE": "geo", "PORT": "8080"}, Cwd: "/app",
		Hostname: "geo-1", Image: image, Stdin: strings.NewReader(""), Stdout: &b.out, Stderr: &b.err, Clock: clock.RealClock{},
	}
	return b
}

func (b *box) run(t *testing.T, argv ...string) int {
	t.Helper()
	b.out.Reset()
	b.err.Reset()
	b.sys.Stdin = strings.NewReader(b.stdin)
	err := shell.Run(t.Context(), b.sys, argv)
	var exit *program.ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	require.NoError(t, err)
	return 0
}

func TestPsShowsTheMainProcess(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	require.Zero(t, b.run(t, "ps"))
	require.Contains(t, b.out.String(), " 1 root      0:00 ?\n", "nothing is known of it on the operating system itself")
	b.sys.Main = []string{"sleep", "100"}
	require.Zero(t, b.run(t, "ps", "-ef"))
	require.Contains(t, b.out.String(), " 1 root      0:00 sleep 100\n")
	require.Contains(t, b.out.String(), " 17 root      0:00 ps -ef\n")
}

func TestShell(t *testing.T) {
	for _, tc := range []struct {
		name, script, want string
		code               int
		errContains        string
	}{
		{name: "variables", script: `x=1; echo "$SERVICE $x $((x+2))"`, want: "geo 1 3\n"},
		{name: "pipe", script: `cat config.yaml | grep port | wc -l`, want: "2\n"},
		{name: "redirect", script: `echo hi > /tmp/f; echo more >> /tmp/f; cat /tmp/f; cat < /tmp/f | head -1`, want: "hi\nmore\nhi\n"},
		{name: "null", script: `echo gone > /dev/null; ls /nowhere 2>/dev/null || echo no`, want: "no\n"},
		{name: "cd", script: `cd /etc && pwd && ls`, want: "/etc\nresolv.conf\n"},
		{name: "glob", script: `cd /app; echo *`, want: "config.yaml numbers table\n"},
		{name: "test", script: `[ -f /app/table ] && test -d /app && [ ! -e /x ] && echo yes`, want: "yes\n"},
		{name: "loop", script: `for i in $(seq 3); do printf '%s,' $i; done; echo`, want: "1,2,3,\n"},
		{name: "not found", script: `nosuch; echo $?`, want: "127\n", errContains: "nosuch: not found"},
		{name: "exit code", script: `exit 7`, code: 7},
		{name: "errexit flag", script: `set -e; false; echo no`, code: 1},
		{name: "sort", script: `sort -n numbers | uniq -c | tr -s ' ' | cut -d' ' -f2,3 | tr '\n' ';'`, want: "2 2;1 9;1 10;1 33;"},
		{name: "sed", script: `sed -n 's/port: \([0-9]*\)/p=\1/p' config.yaml; sed '/comment/d;1d' config.yaml; sed -i 's/mysql/MY/g' config.yaml; grep -c MY config.yaml`,
			want: "p=8080\np=9090\ndb: mysql-geo\nport: 9090\n1\n"},
		{name: "cut", script: `cut -d: -f2- table`, want: "1:x\n2:y\n3:z\n"},
		{name: "grep", script: `grep -n -v '^port' config.yaml; grep -q nothing config.yaml; echo $?; grep -E 'a|b' -o table; grep -A1 b: table`,
			want: "2:db: mysql-geo\n3:# comment\n1\na\nb\nb:2:y\nc:3:z\n"},
		{name: "find", script: `find /app -name '*.yaml' -type f; find /app -maxdepth 0; find . -name table -exec echo got {} ';'`, want: "/app/config.yaml\n/app\ngot table\n"},
		{name: "xargs", script: `printf 'a\nb\n' | xargs -I{} echo [{}]; echo 1 2 3 | xargs -n2 echo`, want: "[a]\n[b]\n1 2\n3\n"},
		{name: "files", script: `mkdir -p d/e && cp table d/e/t && mv d/e/t d/u && cat d/u | tail -n 1; rm -r d; ls d`, want: "c:3:z\n", code: 2, errContains: "No such file"},
		{name: "tar", script: `tar czf /tmp/a.tgz config.yaml table && mkdir /tmp/x && tar xzf /tmp/a.tgz -C /tmp/x && ls /tmp/x && tar tf /tmp/none`, want: "config.yaml\ntable\n", code: 2, errContains: "no such file"},
		{name: "env", script: `env | grep SERVICE; A=1 env | grep ^A=; printenv PORT`, want: "SERVICE=geo\nA=1\n8080\n"},
		{name: "image command", script: `MYSQL_PWD=x mysql -e 'SELECT 1'; mysql`, want: "mysql -e|SELECT 1 pw=x\n", code: 3, errContains: "Access denied"},
		{name: "command -v", script: `command -v curl sh; which nosuch || echo none; type mysql`, want: "/bin/curl\n/bin/sh\nnone\n/bin/mysql\n"},
		{name: "ip", script: `ip link add dummy0 type dummy || ip a | grep -c inet`, want: "2\n", errContains: "ip: RTNETLINK answers: Operation not permitted"},
		{name: "mtu", script: `ip link | grep -o 'eth0.* mtu [0-9]*'; mkdir -p /sys/class/net/eth0; echo 1450 >/sys/class/net/eth0/mtu; ip link | grep -o 'mtu 1[0-9]*'`,
			want: "eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\nmtu 1450\n"},
		{name: "sums", script: `printf abc | sha256sum; printf abc | md5sum -`, want: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n900150983cd24fb0d6963f7d28e17f72  -\n"},
		{name: "substitution and heredoc", script: "cat <<EOF\n$(hostname) $(whoami)\nEOF", want: "geo-1 root\n"},
		{name: "function and while", script: `f() { echo "f:$1"; }; f x; while read a b; do echo "$b"; done <<EOF
1 one
2 two
EOF`, want: "f:x\none\ntwo\n"},
		{name: "escape", script: `cat ../../../../../../etc/hostname; cat /app/../../proc/self/environ`, code: 1, errContains: "No such file"},
		{name: "kill", script: `kill -9 1`, code: 1, errContains: "not permitted"},
		{name: "syntax error", script: `if`, code: 2, errContains: "if"},
		{name: "timeout", script: `timeout 0.1 sleep 30; echo $?`, want: "124\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			code := b.run(t, "sh", "-c", tc.script)
			require.Equal(t, tc.want, b.out.String(), "stderr: %s", b.err.String())
			require.Equal(t, tc.code, code, "stderr: %s", b.err.String())
			require.Contains(t, b.err.String(), tc.errContains)
		})
	}
}

func TestDirect(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	require.Zero(t, b.run(t, "cat", "table"))
	require.Equal(t, "a:1:x\nb:2:y\nc:3:z\n", b.out.String())
	require.Zero(t, b.run(t, "echo", "a b", "$SERVICE", "'q'"))
	require.Equal(t, "a b $SERVICE 'q'\n", b.out.String())
	require.Zero(t, b.run(t, "/bin/test", "-d", "/tmp"))
	require.Equal(t, 1, b.run(t, "test", "-d", "/nowhere"))
	require.Equal(t, 127, b.run(t, "nosuch"))
	require.Equal(t, 127, b.run(t, "/opt/nosuch"))
	require.Zero(t, b.run(t, "bash", "-c", `echo "$0 $1 $#"`, "name", "one", "two"))
	require.Equal(t, "name one 2\n", b.out.String())
	b.stdin = "echo from stdin\n"
	require.Zero(t, b.run(t, "sh"))
	require.Equal(t, "from stdin\n", b.out.String())
	require.Zero(t, b.run(t, "/geo"))
}

func TestMount(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	require.Zero(t, b.run(t, "mount", "-t", "cgroup2"))
	require.Empty(t, b.out.String(), "there is no control group here")
	group := filepath.Join(b.root, "sys/fs/cgroup")
	require.NoError(t, os.MkdirAll(group, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup.controllers"), []byte("cpu memory\n"), 0o600))
	require.Zero(t, b.run(t, "mount", "-t", "cgroup2"))
	require.Equal(t, "cgroup2 on /sys/fs/cgroup type cgroup2 (ro,relatime)\n", b.out.String())
	require.Zero(t, b.run(t, "mount"))
	require.Contains(t, b.out.String(), " on / type ")
	for _, line := range []string{"-a", "-o remount,rw /", "-t tmpfs none /mnt", "/dev/sda1 /mnt"} {
		require.Equal(t, 1, b.run(t, append([]string{"mount"}, strings.Fields(line)...)...), line)
		require.Contains(t, b.err.String(), "permission denied")
	}
}

func TestTarStreams(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	require.Zero(t, b.run(t, "tar", "cf", "-", "config.yaml"))
	b.stdin = b.out.String()
	require.Zero(t, b.run(t, "tar", "-xmf", "-", "-C", "/tmp"))
	data, err := os.ReadFile(filepath.Join(b.root, "tmp/config.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(data), "mysql-geo")
}

func TestCurl(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		case "/slow":
			<-r.Context().Done()
		default:
			body := new(bytes.Buffer)
			_, _ = body.ReadFrom(r.Body)
			_, _ = w.Write([]byte(r.Method + " " + r.Host + " " + body.String() + r.Header.Get("X-A")))
		}
	}))
	defer server.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	b := newBox(t)
	b.sys.Net = fakeNet{hosts: map[string]string{"geo": server.Listener.Addr().String(), "dead": closed.Addr().String()}}
	require.Zero(t, b.run(t, "curl", "-s", "-H", "X-A: yes", "-d", "k=v", "http://geo:8083/x"))
	require.Equal(t, "POST geo:8083 k=vyes", b.out.String())
	require.Zero(t, b.run(t, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "geo/bad"))
	require.Equal(t, "500\n", b.out.String())
	require.Equal(t, 22, b.run(t, "curl", "-f", "geo/bad"))
	require.Equal(t, 6, b.run(t, "curl", "nowhere"))
	require.Contains(t, b.err.String(), "Could not resolve host: nowhere")
	require.Equal(t, 7, b.run(t, "curl", "-sS", "dead"))
	require.Contains(t, b.err.String(), "Connection refused")
	require.Equal(t, 28, b.run(t, "curl", "-m", "0.1", "geo/slow"))
	for _, own := range []string{"10.244.0.7", "eth0"} {
		require.Zero(t, b.run(t, "curl", "--interface", own, "geo/x"))
	}
	require.Equal(t, 45, b.run(t, "curl", "--interface", "10.244.0.8", "geo/x"))
	require.Contains(t, b.err.String(), "Couldn't bind to '10.244.0.8'")
	require.Zero(t, b.run(t, "wget", "-qO-", "http://geo/x"))
	require.Equal(t, "GET geo ", b.out.String())
	require.Zero(t, b.run(t, "nc", "-zv", "geo", "80"))
	require.Zero(t, b.run(t, "nc", "-v", "-t", "-z", "-w", "2", "geo", "80"))
	require.Equal(t, 1, b.run(t, "nc", "-z", "dead", "80"))
}

// TestCurlTrusts: whom --cacert names, and nobody else; the certificate is one that httptest made for itself.
func TestCurlTrusts(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer server.Close()
	b := newBox(t)
	b.sys.Net = fakeNet{}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(filepath.Join(b.root, "tmp/ca.crt"), text, 0o600))
	require.Zero(t, b.run(t, "curl", "-s", "--cacert", "/tmp/ca.crt", server.URL))
	require.Equal(t, "hello", b.out.String())
	require.Equal(t, 60, b.run(t, "curl", "-s", server.URL))
	require.Zero(t, b.run(t, "curl", "-s", "-k", server.URL))
	for _, file := range []string{"/tmp/none.crt", "/app/config.yaml"} {
		require.Equal(t, 77, b.run(t, "curl", "--cacert", file, server.URL))
		require.Contains(t, b.err.String(), file)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	require.Error(t, shell.Run(ctx, b.sys, []string{"sh", "-c", "sleep 600; echo no"}))
	require.Empty(t, b.out.String())
}

// The interpreter asks the host for some things when it is not told.
func TestNothingOfTheHost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sys.User = program.User{UID: 1000, GID: 2000}
	tmp := t.TempDir()
	b.sys.Env["TMPDIR"] = tmp
	require.Zero(t, b.run(t, "sh", "-c", `echo ~root ~nobody ~daemon $UID $EUID $GID $(echo $UID) $TMPDIR`))
	require.Equal(t, "~root ~nobody ~daemon 1000 1000 2000 1000 "+tmp+"\n", b.out.String())
	b.run(t, "bash", "-c", `eval 'cat <(echo hi)'`)
	require.Contains(t, b.err.String(), "cannot create fifo")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, os.WriteFile(filepath.Join(tmp, "sh-interp-1"), []byte("the host's"), 0o600))
	require.NotZero(t, b.run(t, "sh", "-c", "cat < "+tmp+"/sh-interp-1"))
	require.Contains(t, b.err.String(), "can't open")
}
