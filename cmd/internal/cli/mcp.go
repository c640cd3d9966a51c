package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/internal/errs"
)

func newMCP(a *app) *cobra.Command {
	socket := ""
	cmd := &cobra.Command{
		Use:   "mcp --trial SOCKET",
		Short: "Attach an MCP client to a trial",
		Long: `Serve the tools of a trial under way to an MCP client on standard input and output.

It is for clients that launch their servers themselves. The harness hands the path of the socket to the agent; the
client's configuration has the command: gameday mcp --trial SOCKET.`,
		GroupID: groupOther,
		Example: "  gameday mcp --trial \"$GAMEDAY_MCP_SOCKET\"\n  npx @modelcontextprotocol/inspector gameday mcp --trial /run/user/1000/gameday/x/mcp.sock",
		Args:    nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.mcp(cmd.Context(), socket) },
	}
	cmd.Flags().StringVar(&socket, "trial", "", "socket of the trial")
	_ = cmd.MarkFlagRequired("trial")
	return cmd
}

// mcp copies messages between the client and the trial until either ends. Both sides speak newline-delimited JSON-RPC.
func (a *app) mcp(ctx context.Context, socket string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", a.path(socket))
	if err != nil {
		return errs.With(errs.Usage, errs.Hint(fmt.Errorf("attach to trial: %w", err), "the trial may be over; sockets live as long as their trial"))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, a.Stdin) // The other direction says how it went.
		if half, ok := conn.(*net.UnixConn); ok {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(a.Stdout, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("read from trial: %w", err)
	}
	return context.Cause(ctx)
}
