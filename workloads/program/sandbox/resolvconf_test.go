package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

func parse(text string) sandbox.ResolvConf {
	return sandbox.ParseResolvConf(strings.NewReader(text), nil)
}

func TestParseResolvConf(t *testing.T) {
	c := parse("# comment\n; comment\ndomain x\nsearch a b\nnameserver 1.1.1.1\nnameserver bad\n nameserver 9.9.9.9\nnameserver\nnameserver\t2.2.2.2\n" +
		"options ndots:2 timeout:3 attempts:9 rotate edns0 trust-ad unknown\n")
	require.Len(t, c.Servers, 2, "a keyword starts its line")
	require.Equal(t, "1.1.1.1:53", c.Servers[0].String())
	require.Equal(t, "2.2.2.2:53", c.Servers[1].String())
	require.Equal(t, []string{"a", "b"}, c.Search)
	require.Equal(t, 2, c.Ndots)
	require.Equal(t, 5, c.Attempts)
	require.Equal(t, 3*time.Second, c.Timeout)
	require.True(t, c.Rotate)
	require.True(t, c.EDNS)
	require.False(t, c.Single)
}

func TestResolvConfDefaultsAndLimits(t *testing.T) {
	c := parse("")
	require.Equal(t, "127.0.0.1:53", c.Servers[0].String())
	require.Equal(t, sandbox.ResolvConf{Servers: c.Servers, Ndots: 1, Timeout: 5 * time.Second, Attempts: 2}, c)
	c = parse("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\noptions ndots:99 timeout:99\n")
	require.Len(t, c.Servers, 3)
	require.Equal(t, 15, c.Ndots)
	require.Equal(t, 30*time.Second, c.Timeout)
	c = parse("search a\ndomain b c\noptions ndots:x attempts:0 single-request-reopen\noptions no-aaaa use-vc\n")
	require.Equal(t, []string{"b"}, c.Search, "the last one counts, and domain takes one word")
	require.Zero(t, c.Ndots)
	require.Zero(t, c.Attempts)
	require.True(t, c.Single && c.NoAAAA && c.TCP)
}

func TestResolvConfEnvironment(t *testing.T) {
	c := sandbox.ParseResolvConf(strings.NewReader("search a b\noptions ndots:5\n"), map[string]string{"LOCALDOMAIN": "x y", "RES_OPTIONS": "ndots:2 rotate"})
	require.Equal(t, []string{"x", "y"}, c.Search)
	require.Equal(t, 2, c.Ndots)
	require.True(t, c.Rotate)
}

func TestCandidates(t *testing.T) {
	for _, tt := range []struct {
		conf, host string
		want       []string
	}{
		{"search a b\noptions ndots:2", "one", []string{"one.a.", "one.b.", "one."}},
		{"search a b\noptions ndots:2", "x.y", []string{"x.y.a.", "x.y.b.", "x.y."}},
		{"search a b\noptions ndots:2", "x.y.z", []string{"x.y.z.", "x.y.z.a.", "x.y.z.b."}},
		{"search a b\noptions ndots:2", "x.", []string{"x."}},
		{"search a\noptions ndots:0", "x", []string{"x.", "x.a."}},
		{"search a\noptions no-tld-query", "x", []string{"x.a."}},
		{"options no-tld-query", "x", []string{"x."}},
		// The root in the search list is the name as it is, in its place.
		{"search . a", "x", []string{"x.", "x.a."}},
		{"search .a", "x", []string{"x.a.", "x."}},
	} {
		c := parse(tt.conf)
		require.Equal(t, tt.want, c.Candidates(tt.host), "%s with %q", tt.host, tt.conf)
	}
}
