package mcp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/mcp"
	"github.com/gameday-bench/gameday/agents/stdio"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(mcp.EnvSocket); socket != "" && os.Getenv("MCP_TEST_CLIENT") != "" {
		os.Exit(playClient(socket))
	}
	os.Exit(m.Run())
}

// playClient is an agent that brings its own MCP client.
func playClient(socket string) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 2
	}
	ctx := context.Background()
	client := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil)
	session, err := client.Connect(ctx, &sdk.IOTransport{Reader: conn, Writer: conn}, nil)
	if err != nil {
		return 3
	}
	prompt, err := os.ReadFile(os.Getenv(mcp.EnvPrompt))
	if err != nil || !strings.Contains(string(prompt), "You are on call.") {
		return 5
	}
	if brief, err := os.ReadFile(os.Getenv(mcp.EnvBrief)); err != nil || !strings.Contains(string(brief), `"timeSeconds": 60`) {
		return 6
	}
	if _, err := session.CallTool(ctx, &sdk.CallToolParams{Name: "submit_detection", Arguments: map[string]any{"anomaly": true}}); err != nil {
		return 4
	}
	_ = session.Close()
	if os.Getenv("MCP_TEST_CLIENT") == "fail" {
		return 9
	}
	return 0
}

func connect(t *testing.T, transport sdk.Transport) *sdk.ClientSession {
	t.Helper()
	client := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), transport, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func call(t *testing.T, s *sdk.ClientSession, tool string, args any) (string, bool) {
	t.Helper()
	r, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	require.NoError(t, err)
	require.Len(t, r.Content, 1)
	return r.Content[0].(*sdk.TextContent).Text, r.IsError
}

func roundTrip(t *testing.T, s *sdk.ClientSession, cloud *agentstest.Cloud) {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, len(cloud.Tools())+2)
	out, isError := call(t, s, "kubectl", map[string]any{"command": "get pods"})
	require.Equal(t, "kubectl map[command:get pods]", out)
	require.False(t, isError)
	out, _ = call(t, s, "get_brief", map[string]any{})
	require.Contains(t, out, "in namespace hotel")
	call(t, s, "submit_detection", map[string]any{"anomaly": true})
	_, isError = call(t, s, "submit_detection", map[string]any{"anomaly": true})
	require.True(t, isError)
}

func echo() *agentstest.Cloud {
	return &agentstest.Cloud{Answer: func(_ context.Context, tool string, args map[string]any) (agents.Result, error) {
		return agents.Result{Output: strings.TrimSpace(tool + " " + fmtArgs(args))}, nil
	}}
}

func fmtArgs(args map[string]any) string {
	command, _ := args["command"].(string)
	return "map[command:" + command + "]"
}

func TestSocket(t *testing.T) {
	t.Parallel()
	cloud := echo()
	server := mcp.NewServer(agentstest.Brief(), cloud)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	s := connect(t, &sdk.IOTransport{Reader: conn, Writer: conn})
	require.Contains(t, s.InitializeResult().Instructions, "You are on call.")
	roundTrip(t, s, cloud)
	call(t, s, "done", map[string]any{})
	<-server.Done()
	require.NoError(t, server.Err())
	cancel()
	require.NoError(t, <-served)
}

// bearer adds the token to every request.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

func TestStreamableHTTP(t *testing.T) {
	t.Parallel()
	cloud := echo()
	web := httptest.NewServer(mcp.NewServer(agentstest.Brief(), cloud).Handler("secret"))
	t.Cleanup(web.Close)
	resp, err := http.Post(web.URL, "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	s := connect(t, &sdk.StreamableClientTransport{Endpoint: web.URL, HTTPClient: &http.Client{Transport: bearer{"secret"}}})
	roundTrip(t, s, cloud)
	require.NoError(t, s.Close())
}

func TestAgent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for _, tc := range []struct {
		mode string
		want error
	}{{"good", nil}, {"fail", stdio.ErrExited}} {
		cloud := echo()
		agent := &mcp.Agent{Command: stdio.Command{Argv: []string{self}, SetEnv: map[string]string{"MCP_TEST_CLIENT": tc.mode}}}
		err := agent.Solve(t.Context(), agentstest.Brief(), cloud)
		require.ErrorIs(t, err, tc.want)
		require.NotNil(t, cloud.Accepted("detection"))
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		steps int
		want  error
	}{{0, nil}, {2, agents.ErrBudget}} {
		cloud := echo()
		cloud.Steps = tc.steps
		s, ended := attach(t, agentstest.Brief(), cloud)
		last := "done"
		for range tc.steps {
			call(t, s, "kubectl", map[string]any{"command": "get pods"})
			last = "kubectl"
		}
		// The answer to the last call may be lost: the trial is over.
		_, _ = s.CallTool(t.Context(), &sdk.CallToolParams{Name: last, Arguments: map[string]any{}})
		require.ErrorIs(t, <-ended, tc.want)
	}
}

// meteredCloud also takes usage, within a budget of tokens.
type meteredCloud struct {
	*agentstest.Cloud
	budget agents.Budget

	mu     sync.Mutex
	tokens int64
	cost   float64
}

func (c *meteredCloud) ReportUsage(tokens int64, costUSD float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tokens < 0 {
		return errors.New("report usage: tokens must not be negative")
	}
	c.tokens, c.cost = c.tokens+tokens, c.cost+costUSD
	return c.budget.Overspent(c.tokens, c.cost)
}

func (c *meteredCloud) spent() (int64, float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens, c.cost
}

// attach serves a trial on cloud and connects a client to it; ended takes what Solve returned.
func attach(t *testing.T, brief agents.Brief, cloud agents.Cloud) (client *sdk.ClientSession, ended <-chan error) {
	t.Helper()
	sockets, result := make(chan string, 1), make(chan error, 1)
	agent := &mcp.Agent{Announce: func(socket, _, _ string) { sockets <- socket }}
	go func() { result <- agent.Solve(t.Context(), brief, cloud) }()
	conn, err := net.Dial("unix", <-sockets)
	require.NoError(t, err)
	return connect(t, &sdk.IOTransport{Reader: conn, Writer: conn}), result
}

// TestUsage: what a client reports is added up, is no step, and ends the trial where it is more than the budget.
func TestUsage(t *testing.T) {
	t.Parallel()
	cloud := &meteredCloud{Cloud: echo(), budget: agents.Budget{Tokens: 100}}
	brief := agentstest.Brief()
	brief.Budget = agents.Budget{Tokens: 100, Cost: 2.5}
	s, ended := attach(t, brief, cloud)
	require.Contains(t, s.InitializeResult().Instructions, "Budget: 100 tokens, 2.5 USD.")
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, len(cloud.Tools())+3)

	for _, args := range []map[string]any{{"tokens": 60, "costUSD": 0.5}, {"tokens": 40}, {}} {
		out, isError := call(t, s, "report_usage", args)
		require.False(t, isError, out)
	}
	for _, tc := range []struct {
		args map[string]any
		want string
	}{
		{map[string]any{"tokens": "many"}, "malformed_args: report_usage: "},
		{map[string]any{"cost": 1}, `unknown field "cost"`},
		{map[string]any{"tokens": -1}, "tokens must not be negative"},
	} {
		out, isError := call(t, s, "report_usage", tc.args)
		require.True(t, isError, out)
		require.Contains(t, out, tc.want)
	}
	tokens, cost := cloud.spent()
	require.Equal(t, int64(100), tokens)
	require.InDelta(t, 0.5, cost, 1e-9)
	require.Empty(t, cloud.Calls(), "a report is no step")

	// The answer to the last call may be lost: the trial is over.
	_, _ = s.CallTool(t.Context(), &sdk.CallToolParams{Name: "report_usage", Arguments: map[string]any{"tokens": 1}})
	err = <-ended
	require.ErrorIs(t, err, agents.ErrBudget)
	require.EqualError(t, err, "budget exhausted: tokens (limit 100)")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, (&mcp.Agent{}).Solve(ctx, agentstest.Brief(), echo()), context.DeadlineExceeded)
}
