// Package mcp lets any MCP client be an agent: it serves a trial's tools with the official SDK, on a unix socket (which
// gameday mcp bridges to stdio) and over streamable HTTP.
package mcp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gameday-bench/gameday/agents"
)

// The tools that an MCP client has beyond the catalogue: with it there is nobody else to hand over the brief and to say that
// the agent is done. See also toolUsage.
const (
	toolBrief = "get_brief"
	toolDone  = "done"
)

// Server serves the tools of one trial to any number of MCP clients. Methods are safe for concurrent use.
type Server struct {
	server *sdk.Server
	brief  agents.Brief

	once sync.Once
	done chan struct{}
	err  error
}

// NewServer returns a Server for cloud's tools.
func NewServer(brief agents.Brief, cloud agents.Cloud) *Server {
	s := &Server{brief: brief, done: make(chan struct{})}
	s.server = sdk.NewServer(&sdk.Implementation{Name: "gameday", Version: "1"}, &sdk.ServerOptions{Instructions: instructions(brief)})
	for _, tool := range cloud.Tools() {
		s.server.AddTool(&sdk.Tool{Name: tool.Name, Description: tool.Description, InputSchema: tool.InputSchema},
			func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
				return s.call(ctx, cloud, tool.Name, req.Params.Arguments)
			})
	}
	empty := json.RawMessage(`{"type":"object","additionalProperties":false}`)
	s.server.AddTool(&sdk.Tool{Name: toolBrief, Description: "Read what is asked of you: the situation, the tasks, the budget, the vocabularies.", InputSchema: empty},
		func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return result(agents.Result{Output: instructions(brief)}), nil
		})
	s.server.AddTool(&sdk.Tool{Name: toolDone, Description: "Say that you are done, after everything was submitted. The trial ends.", InputSchema: empty},
		func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			s.end(nil)
			return result(agents.Result{Output: "the trial ends"}), nil
		})
	s.addUsage(cloud)
	return s
}

// Done is closed when a client has called done, or when the cloud has ended the trial; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is what ended the trial: nil for a client's done, the cloud's error otherwise. It is valid once Done is closed.
func (s *Server) Err() error {
	<-s.done
	return s.err
}

func (s *Server) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.done)
	})
}

func (s *Server) call(ctx context.Context, cloud agents.Cloud, tool string, args json.RawMessage) (*sdk.CallToolResult, error) {
	r, err := cloud.Call(ctx, tool, args)
	if err == nil {
		return result(r), nil
	}
	// A client that gave up on its call does not end the trial.
	if ctx.Err() == nil || errors.Is(err, agents.ErrBudget) {
		s.end(err)
	}
	return result(agents.Result{Output: err.Error(), IsError: true}), nil
}

func result(r agents.Result) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: r.Output}}, IsError: r.IsError}
}

// instructions put the brief into words.
func instructions(b agents.Brief) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n\nApplication: %s, in namespace %s.\n", strings.TrimSpace(b.Prompt), b.App, b.Namespace)
	fmt.Fprintf(&s, "Tasks, each to be answered once with its tool: %s.\n", strings.Join(b.Tasks, ", "))
	var limits []string
	if b.Budget.Steps > 0 {
		limits = append(limits, fmt.Sprintf("%d calls", b.Budget.Steps))
	}
	if b.Budget.Time > 0 {
		limits = append(limits, b.Budget.Time.String())
	}
	if b.Budget.Tokens > 0 {
		limits = append(limits, fmt.Sprintf("%d tokens", b.Budget.Tokens))
	}
	if b.Budget.Cost > 0 {
		limits = append(limits, fmt.Sprintf("%g USD", b.Budget.Cost))
	}
	if len(limits) > 0 {
		fmt.Fprintf(&s, "Budget: %s.\n", strings.Join(limits, ", "))
	}
	fmt.Fprintf(&s, "Mechanisms for a diagnosis: %s.\n", strings.Join(b.Mechanisms, ", "))
	fmt.Fprintf(&s, "Kinds of components: %s.\n", strings.Join(b.ComponentKinds, ", "))
	fmt.Fprintf(&s, "When everything is submitted, call %s.\n", toolDone)
	return s.String()
}

// Serve serves MCP over the connections of listener, newline-delimited JSON-RPC as on stdio, until ctx ends. It closes
// listener and returns when every connection has ended.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			cancel()
			return fmt.Errorf("accept MCP client: %w", err)
		}
		sessions.Go(func() {
			defer conn.Close()
			closeConn := context.AfterFunc(ctx, func() { conn.Close() })
			defer closeConn()
			// How a client's connection ended is the client's business.
			_ = s.server.Run(ctx, &sdk.IOTransport{Reader: conn, Writer: conn})
		})
	}
}

// Handler serves MCP's streamable HTTP transport to clients with the bearer token.
func (s *Server) Handler(token string) http.Handler {
	inner := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s.server }, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "401 unauthorized", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
}
