package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/stdio"
	"github.com/gameday-bench/gameday/internal/scratch"
)

// The environment variables by which a command finds its trial.
const (
	EnvSocket = "GAMEDAY_MCP_SOCKET" // for gameday mcp --trial
	EnvURL    = "GAMEDAY_MCP_URL"    // streamable HTTP, with EnvToken as bearer token
	EnvToken  = "GAMEDAY_MCP_TOKEN"
	EnvBrief  = "GAMEDAY_BRIEF"  // path of the brief, JSON
	EnvPrompt = "GAMEDAY_PROMPT" // path of the brief in words
)

// lastAnswer is how long the connections stay open after the trial's end.
const lastAnswer = 200 * time.Millisecond

// Agent is an agent that speaks MCP. Its command is started with the addresses of the trial in its environment, and is done
// when it ends with exit code 0 or calls the tool done. Without a command, Solve waits for somebody to attach and be done:
// the addresses are announced.
type Agent struct {
	Command stdio.Command
	// Announce is told where the trial can be reached, before anything is started; nil is fine.
	Announce func(socket, url, token string)
}

var _ agents.Agent = (*Agent)(nil)

// Solve serves the trial until the agent is done, it fails, a budget is spent or ctx ends.
func (a *Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	dir, err := scratch.MakeTemp("gameday-mcp-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { _ = dir.Remove() }() // after an error the janitor goes on trying.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := NewServer(brief, cloud)
	env, wait, err := serve(ctx, server, dir.Path(), brief)
	if err != nil {
		return err
	}
	defer wait()
	defer cancel(nil)
	if a.Announce != nil {
		a.Announce(env[EnvSocket], env[EnvURL], env[EnvToken])
	}
	ended, gone := make(chan error, 1), make(chan struct{})
	if len(a.Command.Argv) > 0 {
		go func() {
			defer close(gone)
			ended <- a.Command.Run(ctx, env, strings.NewReader(""))
		}()
	}
	select {
	case err = <-ended:
		return err
	case <-server.Done():
		err = server.Err()
		// The answer to the last call is on its way to the client.
		select {
		case <-time.After(lastAnswer):
		case <-ctx.Done():
		}
		cancel(errors.Join(err, context.Canceled))
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if len(a.Command.Argv) > 0 {
		<-gone // How it ended is told already, or was our doing.
	}
	return err
}

// serve puts the trial on a socket and on loopback HTTP. wait returns when both have ended, after ctx has.
func serve(ctx context.Context, server *Server, dir string, brief agents.Brief) (env map[string]string, wait func(), err error) {
	socket := filepath.Join(dir, "mcp.sock")
	unix, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on socket: %w", err)
	}
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen on loopback: %w", err), unix.Close())
	}
	token := rand.Text()
	web := &http.Server{Handler: server.Handler(token), ReadHeaderTimeout: 10 * time.Second}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(ctx, unix) })
	group.Go(func() { _ = web.Serve(tcp) })
	stop := context.AfterFunc(ctx, func() { web.Close() })
	wait = func() {
		group.Wait()
		stop()
	}
	env = map[string]string{
		EnvSocket: socket, EnvURL: "http://" + tcp.Addr().String(), EnvToken: token,
		EnvBrief: filepath.Join(dir, "brief.json"), EnvPrompt: filepath.Join(dir, "prompt.txt"),
	}
	encoded, err := json.MarshalIndent(brief, "", "  ")
	if err == nil {
		err = errors.Join(os.WriteFile(env[EnvBrief], encoded, 0o600), os.WriteFile(env[EnvPrompt], []byte(instructions(brief)), 0o600))
	}
	if err != nil {
		web.Close()
		unix.Close()
		return nil, nil, fmt.Errorf("write brief: %w", err)
	}
	return env, wait, nil
}
