package shell_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestAwk(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, script, want string
		code               int
		errContains        string
	}{
		{name: "column of a pipe", script: `echo 'a b' | awk '{print $2}'`, want: "b\n"},
		{name: "separator", script: `awk -F: '{s += $2} END {print s}' table; awk -Ft '{print $2}' <<< 'a	b'; awk -F '[:=]' '{print $3}' <<< 'a:b=c'`, want: "6\nb\nc\n"},
		{name: "variables", script: `awk -v n=2 -v 's=a\tb' 'NR == n {print s, $0}' table`, want: "a\tb b:2:y\n"},
		{name: "program in a file", script: `echo '{print $1}' > /tmp/p; awk -F: -f /tmp/p table | tr '\n' ' '`, want: "a b c "},
		{name: "environment", script: `X=1 awk 'BEGIN {print ENVIRON["SERVICE"], ENVIRON["X"]}'`, want: "geo 1\n"},
		{name: "files", script: `awk -F: '{print $1 > "/tmp/" $3; print "n" > "/dev/null"}' table; cat /tmp/x /tmp/z; awk 'BEGIN {while ((getline l < "/tmp/y") > 0) print "got", l}'`,
			want: "a\nc\ngot b\n"},
		{name: "commands", script: `awk -F: '{print $2 | "sort -rn"} END {close("sort -rn"); "hostname" | getline h; print h; exit system("exit 3")}' table`, want: "3\n2\n1\ngeo-1\n", code: 3},
		{name: "nothing reads any more", script: `awk 'BEGIN {while (1) print "y"}' | head -2`, want: "y\ny\n"},
		{name: "no such file", script: `awk '{print}' /nowhere table | wc -l`, want: "3\n", errContains: "awk: can't open file /nowhere: No such file or directory"},
		{name: "outside", script: `awk '{print}' ../../../../etc/passwd`, code: 2, errContains: "No such file or directory"},
		{name: "wrong program", script: `awk '{print'`, code: 2, errContains: "awk: line 1: unexpected end of program"},
		{name: "no program", script: `awk -F:`, code: 2, errContains: "awk: want"},
		{name: "failure", script: `awk 'BEGIN {print 1/0}'`, code: 2, errContains: "awk: line 1: division by zero"},
		{name: "timeout", script: `timeout 0.1 awk 'BEGIN {for (;;) n++}'; echo $?`, want: "124\n"},
		{name: "of a conformance test", script: `f=/tmp/count; count=$(echo 'hello' >> $f ; wc -l $f | awk {'print $1'}); echo $count`, want: "1\n"},
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

const pods = `{"items":[{"metadata":{"name":"geo-1"},"status":{"phase":"Running","restarts":2}},{"metadata":{"name":"rate-1"},"status":{"phase":"Pending","restarts":0}}]}`

func TestJq(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, script, want string
		code               int
		errContains        string
	}{
		{name: "names", script: `jq -r '.items[].metadata.name' pods.json`, want: "geo-1\nrate-1\n"},
		{name: "pipe", script: `cat pods.json | jq -r '.items[] | select(.status.phase != "Running") | .metadata.name'`, want: "rate-1\n"},
		{name: "indented", script: `jq '.items[0].status' pods.json; jq --tab .a <<< '{"a":{"b":[]}}'; jq --indent 1 . <<< '[1]'`,
			want: "{\n  \"phase\": \"Running\",\n  \"restarts\": 2\n}\n{\n\t\"b\": []\n}\n[\n 1\n]\n"},
		{name: "compact", script: `jq -c '[.items[].status.restarts] | {sum: add, n: length}' pods.json`, want: "{\"n\":2,\"sum\":2}\n"},
		{name: "joined", script: `jq -j '.[]' <<< '["a",1,"b"]'; jq -rc '.[]' <<< '["x",{"y":null}]'`, want: "a1bx\n{\"y\":null}\n"},
		{name: "null input and variables", script: `jq -n --arg a x --argjson b '[1]' -c '[$a, $b, $ARGS.named.a, env.SERVICE, $ENV.PORT]'`, want: `["x",[1],"x","geo","8080"]` + "\n"},
		{name: "positional", script: `jq -nc '$ARGS.positional' --args a b; jq -nc '$ARGS.positional' --jsonargs 1 '{}'`, want: "[\"a\",\"b\"]\n[1,{}]\n"},
		{name: "slurp and inputs", script: `printf '1 2\n3' > n; jq -s -c . n; jq -n '[inputs] | add' n; jq -n 'input' n; jq -c '[., input_filename]' n | head -1`, want: "[1,2,3]\n6\n1\n[1,\"n\"]\n"},
		{name: "raw input", script: `printf 'a\nb\n' | jq -R .; printf 'a\nb' | jq -Rs .`, want: "\"a\"\n\"b\"\n\"a\\nb\"\n"},
		{name: "files as variables", script: `printf '1 2' > n; jq -nc --slurpfile s n --rawfile r n '[$s, $r]'`, want: "[[1,2],\"1 2\"]\n"},
		{name: "filter in a file", script: `echo '.a' > f; jq -f f <<< '{"a":5}'`, want: "5\n"},
		{name: "numbers keep their digits", script: `jq . <<< '12345678901234567890'; jq -n '1.50, 3.0'`, want: "12345678901234567890\n1.5\n3\n"},
		{name: "ascii", script: `jq -a . <<< '"ä😀"'; jq . <<< '"<ä>"'`, want: "\"\\u00e4\\ud83d\\ude00\"\n\"<ä>\"\n"},
		{name: "exit status", script: `jq -e .a <<< '{"a":false}'; echo $?; jq -e .a <<< '{"a":0}'; echo $?; jq -e empty <<< 1; echo $?`, want: "false\n1\n0\n0\n4\n"},
		{name: "wrong filter", script: `jq '.[' pods.json`, code: 3, errContains: "jq: error: syntax error"},
		{name: "unknown function", script: `jq -n nosuch`, code: 3, errContains: "jq: 1 compile error"},
		{name: "no modules", script: `jq -n 'import "/etc/x" as x; 1'`, code: 3, errContains: "module not found"},
		{name: "failing filter goes on", script: `jq '.a' <<< '{"a":1} [] {"a":2}'`, want: "1\n2\n", code: 5, errContains: "jq: error: "},
		{name: "no JSON", script: `jq . <<< '{"a":1} nonsense'`, want: "{\n  \"a\": 1\n}\n", code: 2, errContains: "jq: error (at <stdin>): invalid character"},
		{name: "no such file", script: `jq -c .a /nowhere pods.json`, want: "null\n", code: 2, errContains: "jq: error: Could not open /nowhere: No such file or directory"},
		{name: "outside", script: `jq -n --rawfile x ../../../../etc/passwd '$x'`, code: 2, errContains: "No such file or directory"},
		{name: "wrong option", script: `jq --stream . pods.json`, code: 2, errContains: "unrecognized option '--stream'"},
		{name: "option without values", script: `jq -n --arg x`, code: 2, errContains: "--arg takes 2 parameters"},
		{name: "wrong value", script: `jq -n --argjson x '{' 1`, code: 2, errContains: "invalid JSON text passed to --argjson"},
		{name: "halt", script: `jq -n '"bye\n" | halt_error(7)'; echo $?; jq -n '1, halt, 2'`, want: "7\n1\n", errContains: "bye\n"},
		{name: "debug", script: `jq -n '{"a":1} | debug | .a'`, want: "1\n", errContains: `["DEBUG:",{"a":1}]`},
		{name: "timeout", script: `timeout 0.1 jq -n '[range(1e18)|select(false)]'; echo $?`, want: "124\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			require.NoError(t, os.WriteFile(filepath.Join(b.root, "app/pods.json"), []byte(pods), 0o600))
			code := b.run(t, "sh", "-c", tc.script)
			require.Equal(t, tc.want, b.out.String(), "stderr: %s", b.err.String())
			require.Equal(t, tc.code, code, "stderr: %s", b.err.String())
			require.Contains(t, b.err.String(), tc.errContains)
		})
	}
}

func TestSysctl(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for name, value := range map[string]string{"kernel/shm_rmid_forced": "1\n", "net/ipv4/ip_local_port_range": "32768\t60999\n"} {
		file := filepath.Join(b.root, "proc/sys", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(value), 0o600))
	}
	require.Zero(t, b.run(t, "sysctl", "kernel.shm_rmid_forced"))
	require.Equal(t, "kernel.shm_rmid_forced = 1\n", b.out.String())
	require.Zero(t, b.run(t, "/bin/sysctl", "-n", "net/ipv4/ip_local_port_range"))
	require.Equal(t, "32768\t60999\n", b.out.String())
	require.Zero(t, b.run(t, "sysctl", "-a"))
	require.Equal(t, "kernel.shm_rmid_forced = 1\nnet.ipv4.ip_local_port_range = 32768\t60999\n", b.out.String())
	for argument, want := range map[string]string{
		"kernel.nothing": "sysctl: error: 'kernel.nothing' is an unknown key", "kernel.shm_rmid_forced=0": "Read-only file system", "../../etc/passwd": "is an unknown key",
	} {
		require.Equal(t, 1, b.run(t, "sysctl", argument))
		require.Contains(t, b.err.String(), want)
	}
	require.Zero(t, b.run(t, "sysctl", "-e", "kernel.nothing"))
}

// TestJqClock: now is the container's time, which may be wrong on purpose.
func TestJqClock(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sys.Clock = clocktesting.NewFakeClock(time.Unix(1700000000, 0))
	require.Zero(t, b.run(t, "jq", "-n", "now"))
	require.Equal(t, "1700000000\n", b.out.String())
}

func TestWget(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Answer", "yes")
		_, _ = w.Write([]byte(strings.Join([]string{r.Method, r.Host, string(body), r.Header.Get("Content-Type"), r.Header.Get("X-A"), r.UserAgent()}, "|")))
	}))
	defer server.Close()
	b := newBox(t)
	b.sys.Net = fakeNet{hosts: map[string]string{"geo": server.Listener.Addr().String()}}
	const form = "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"get", []string{"http://geo/x"}, "GET|geo|||" + "|Wget"},
		{"data", []string{"--post-data", "k=v&a=b", "http://geo/x"}, "POST|geo|k=v&a=b|" + form + "||Wget"},
		{"data behind an equals sign", []string{"--post-data=k=v", "geo/x"}, "POST|geo|k=v|" + form + "||Wget"},
		{"no data", []string{"--post-data", "", "geo/x"}, "POST|geo||" + form + "||Wget"},
		{"file", []string{"--post-file=table", "geo/x"}, "POST|geo|a:1:x\nb:2:y\nc:3:z\n|" + form + "||Wget"},
		{"headers", []string{"--header", "X-A: yes", "--header=Content-Type: application/json", "--post-data", "{}", "geo/x"}, "POST|geo|{}|application/json|yes|Wget"},
		{"host and agent", []string{"--header", "Host: rate", "-U", "probe/1", "geo/x"}, "GET|rate||||probe/1"},
	} {
		require.Zero(t, b.run(t, append([]string{"wget", "-q", "-O", "-"}, tc.args...)...), tc.name)
		require.Equal(t, tc.want, b.out.String(), tc.name)
	}
	require.Zero(t, b.run(t, "wget", "-S", "-P", "/tmp", "http://geo/report"))
	require.Contains(t, b.err.String(), "  X-Answer: yes\n")
	data, err := os.ReadFile(filepath.Join(b.root, "tmp/report"))
	require.NoError(t, err)
	require.Contains(t, string(data), "GET|geo")
	for message, args := range map[string][]string{
		"exclude each other":                 {"--post-data", "x", "--post-file", "table", "geo"},
		"can't open 'nowhere': No such file": {"--post-file", "nowhere", "geo"},
		"bad header 'X': want NAME: VALUE":   {"--header", "X", "geo"},
		"want [-q]":                          {"--post-data", "x"},
		"bad address 'nowhere'":              {"--post-data", "x", "nowhere"},
	} {
		require.Equal(t, 1, b.run(t, append([]string{"wget"}, args...)...), message)
		require.Contains(t, b.err.String(), message)
	}
}
