package agnhost

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// pod is where a subcommand runs: a root directory of its own, sockets on the loopback.
type pod struct {
	sys    *program.Sys
	net    *programtest.Loopback
	open   chan string // the sockets, as they are opened.
	stdout *bytes.Buffer
}

func newPod(t *testing.T, args ...string) pod {
	t.Helper()
	tree, err := sandbox.NewTree(&sandbox.Container{Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	im := Images()[0]
	system, err := program.System(&im, nil)
	require.NoError(t, err)
	open := make(chan string, 8)
	network := &programtest.Loopback{Network: system.Net, Opened: func(socket string) { open <- socket }}
	out := &bytes.Buffer{}
	return pod{net: network, open: open, stdout: out, sys: &program.Sys{
		Net: network, Files: tree, Args: args, Env: map[string]string{}, Cwd: "/", Hostname: "pod-0", Image: &im, Variant: "2.59",
		Stdin: strings.NewReader(""), Stdout: out, Stderr: io.Discard, Clock: clock.RealClock{},
	}}
}

// start runs the pod's program until the test ends, waits until its sockets are open, and returns what it ended with.
func (p pod) start(t *testing.T, sockets ...string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		done <- Run(ctx, p.sys)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for range sockets {
		require.Contains(t, sockets, <-p.open)
	}
	return done
}

func (p pod) get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DialContext: p.net.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestNetexec(t *testing.T) {
	t.Parallel()
	p := newPod(t, "netexec", "--http-port=8083", "--udp-port=8084")
	p.start(t, "tcp:8083", "udp:8084")
	for _, tt := range []struct {
		path string
		code int
		want string
	}{
		{"/hostname", 200, "pod-0"},
		{"/hostName", 200, "pod-0"},
		{"/serverport", 200, "8083"},
		{"/echo?msg=hi&code=418", 418, "hi"},
		{"/header?key=User-Agent", 200, "Go-http-client/1.1"},
		{"/redirect?location=/x&code=307", 307, "<a href=\"/x\">Temporary Redirect</a>.\n\n"},
		{"/readyz", 200, "ok"},
		{"/shell?cmd=echo+one%3Bfalse", 200, `{"error":"exit status 1","output":"one\n"}`},
		{"/dial?host=10.0.0.1&port=8083&request=hostname&tries=2", 200, `{"responses":["pod-0","pod-0"]}`},
		{"/dial?host=10.0.0.1&port=8084&request=hostname&protocol=udp", 200, `{"responses":["pod-0"]}`},
		{"/dial?host=10.0.0.1&port=8084&request=echo%20Hi&protocol=udp", 200, `{"responses":["hi"]}`},
		{"/dial?host=10.0.0.1&port=8083&request=x&protocol=sctp", 400, "unsupported protocol. sctp\n"},
		{"/dial?host=10.0.0.1&port=8083", 400, "request parameter not specified. <nil>\n"},
	} {
		code, body := p.get(t, "http://10.0.0.1:8083"+tt.path)
		require.Equal(t, tt.code, code, tt.path)
		require.Equal(t, tt.want, body, tt.path)
	}
	_, body := p.get(t, "http://10.0.0.1:8083/clientip")
	host, _, err := net.SplitHostPort(body)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
}

func TestNetexecExit(t *testing.T) {
	t.Parallel()
	p := newPod(t, "netexec", "--udp-port=-1")
	done := p.start(t, "tcp:8080")
	client := &http.Client{Transport: &http.Transport{DialContext: p.net.DialContext}}
	if resp, err := client.Get("http://pod:8080/exit?code=7"); err == nil { // The answer may or may not get through.
		resp.Body.Close()
	}
	var exit *program.ExitError
	require.ErrorAs(t, <-done, &exit)
	require.Equal(t, 7, exit.Code)
}

func TestOverride(t *testing.T) {
	t.Parallel()
	p := newPod(t, "netexec", "--udp-port=-1", "--http-override=/echo?code=404&msg=gone")
	p.start(t, "tcp:8080")
	code, body := p.get(t, "http://pod:8080/anything")
	require.Equal(t, http.StatusNotFound, code)
	require.Equal(t, "gone", body)
}

// TestWebserverHasItsCertificate looks where readiness probes of upstream's tests look, which they break by moving the file.
func TestWebserverHasItsCertificate(t *testing.T) {
	t.Parallel()
	p := newPod(t, "test-webserver")
	p.start(t, "tcp:80")
	code, body := p.get(t, "http://pod:80/localhost.crt")
	require.Equal(t, http.StatusOK, code)
	key, err := program.ReadFile(p.sys.Files, "/localhost.key")
	require.NoError(t, err)
	_, err = tls.X509KeyPair([]byte(body), key)
	require.NoError(t, err)
	require.NoError(t, p.sys.Files.Rename("/localhost.crt", "/moved.crt"))
	code, _ = p.get(t, "http://pod:80/localhost.crt")
	require.Equal(t, http.StatusNotFound, code)
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		args       []string
		code       int
	}{
		{"entrypoint", "[/agnhost entrypoint-tester a b]\n", []string{"entrypoint-tester", "a", "b"}, 0},
		{"connect without a port", "", []string{"connect", "nowhere"}, 1},
		{"unknown", "", []string{"brew"}, 1},
		{"unknown flag", "", []string{"netexec", "--brew"}, 1},
		{
			"new file", "content of file \"/f\": mount-tester new file\n\nperms of file \"/f\": -rw-rw-rw-\n",
			[]string{"mounttest", "--new_file_0666=/f", "--file_perm=/f"}, 0,
		},
		{"mode", "mode of file \"/\": dtrwxrwxrwx\n", []string{"mounttest", "--file_mode=/"}, 0},
		{"missing", "error reading file content for \"/no\": open /no: no such file or directory\n", []string{"mounttest", "--file_content=/no"}, 1},
		{"search list", "a.local,b.local\n", []string{"dns-suffix"}, 0},
		{"servers", "10.96.0.10\n", []string{"dns-server-list"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, tt.args...)
			require.NoError(t, p.sys.Files.Chmod("/", 0o1777|1<<20))
			require.NoError(t, p.sys.Files.MkdirAll("/etc", 0o755))
			conf := "nameserver 10.96.0.10\nsearch a.local b.local\noptions ndots:5\n"
			require.NoError(t, program.WriteFile(p.sys.Files, "/etc/resolv.conf", []byte(conf), 0o644))
			err := Run(t.Context(), p.sys)
			require.Equal(t, tt.code != 0, err != nil, "%v", err)
			if tt.want != "" {
				require.Equal(t, tt.want, p.stdout.String())
			}
		})
	}
}

func TestSecondName(t *testing.T) {
	t.Parallel()
	p := newPod(t, "entrypoint-tester", "x")
	require.NoError(t, p.sys.Image.Commands["/agnhost-2"](t.Context(), p.sys))
	require.Equal(t, "[/agnhost-2 entrypoint-tester x]\n", p.stdout.String())
}

func TestPauseSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	require.NoError(t, p.sys.Files.MkdirAll("/dev", 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var exit *program.ExitError
	require.ErrorAs(t, Run(ctx, p.sys), &exit)
	require.Equal(t, 2, exit.Code)
	data, err := program.ReadFile(p.sys.Files, "/dev/termination-log")
	require.NoError(t, err)
	require.Equal(t, "exiting because of signal \"terminated\"\n", string(data))
}

func TestPorter(t *testing.T) {
	t.Parallel()
	p := newPod(t, "porter", "--json-response")
	p.sys.Env = map[string]string{"SERVE_PORT_81": "plain", "SERVE_TLS_PORT_82": "secret", "OTHER": "x"}
	p.start(t, "tcp:81", "tcp:82")
	_, body := p.get(t, "http://pod:81/")
	var answer struct{ Method, Body string }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, struct{ Method, Body string }{"GET", "plain"}, answer)
	_, err := (&http.Client{Transport: &http.Transport{DialContext: p.net.DialContext}}).Get("https://pod:82/")
	require.ErrorContains(t, err, "certificate", "it is TLS, and nobody's certificate")
}

func TestGuestbook(t *testing.T) {
	t.Parallel()
	p := newPod(t, "guestbook", "--http-port=6379")
	p.start(t, "tcp:6379")
	for _, step := range [][2]string{
		{"/get?key=a", `{"data":""}`},
		{"/set?key=a&value=b", `{"message":"Updated"}`},
		{"/get?key=a", `{"data":"b"}`},
		{"/register?host=", `{"data":{"a":"b"}}`},
		{"/guestbook?cmd=drop", "unsupported cmd: 'drop'\n"},
	} {
		_, body := p.get(t, "http://pod:6379"+step[0])
		require.Equal(t, step[1], body, step[0])
	}
	_, body := p.get(t, "http://pod:6379/set?value=b")
	require.Equal(t, "cannot set with empty key.", strings.TrimSpace(body))
}

func TestConnectWords(t *testing.T) {
	t.Parallel()
	p := newPod(t, "connect", "127.0.0.1:1")
	var exit *program.ExitError
	err := Run(t.Context(), p.sys)
	require.ErrorAs(t, err, &exit)
	require.EqualError(t, exit.Err, "REFUSED")
}
