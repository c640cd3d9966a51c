package catalog_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	_ "github.com/gameday-bench/gameday/agents/all"
	"github.com/gameday-bench/gameday/agents/catalog"
)

const good = `apiVersion: gameday.dev/v1
kind: Agent
id: %ID
description: An agent.
transport: stdio
command: [python3, "${dir}/agent.py"]
limits: {idle: 30s}
`

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, from, to, want string }{
		{name: "good"},
		{"unknown field", "limits: {idle: 30s}", "limit: {}", "a/agent.yaml:7:1: limit: "},
		{"version", "gameday.dev/v1", "v2", `a/agent.yaml:1:13: apiVersion: want gameday.dev/v1, got "v2"`},
		{"kind", "kind: Agent", "kind: Problem", `want Agent, got "Problem"`},
		{"directory", "id: a", "id: b", `want the name of the directory, "a", got "b"`},
		{"transport", "transport: stdio", "transport: http", `want stdio or mcp, got "http"`},
		{"command", `command: [python3, "${dir}/agent.py"]`, "command: []", "want the command that is the agent"},
		{"env", "limits: {idle: 30s}", "env: [A=B]", `env[0]: want the name of an environment variable`},
		{"duration", "idle: 30s", "idle: soon", "limits.idle"},
		{"negative", "idle: 30s", "idle: -1s", "want no negative values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			data := bytes.ReplaceAll([]byte(good), []byte("%ID"), []byte("a"))
			data = bytes.Replace(data, []byte(tc.from), []byte(tc.to), 1)
			_, err := catalog.Decode("a/agent.yaml", data, "a")
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	require.Contains(t, agents.Names(), "attach")
	require.IsIncreasing(t, agents.Names())
	_, err := agents.New("playbok", agents.Params{})
	require.ErrorIs(t, err, agents.ErrUnknown)
	_, err = agents.New("oracle", agents.Params{})
	require.ErrorContains(t, err, "needs a script")
	require.ErrorContains(t, agents.Register(agents.Info{Name: "nop", Origin: "test"}, func(agents.Params) (agents.Agent, error) { return nil, nil }), "agents/nop")
}

func TestCompiledInHasNoDirectory(t *testing.T) {
	t.Parallel()
	agent := func(id, command string) *fstest.MapFile {
		text := strings.NewReplacer("%ID", id, `[python3, "${dir}/agent.py"]`, command).Replace(good)
		return &fstest.MapFile{Data: []byte(text)}
	}
	err := catalog.RegisterFS(fstest.MapFS{
		"test-beside/agent.yaml": agent("test-beside", `[python3, "${dir}/agent.py"]`), "test-plain/agent.yaml": agent("test-plain", "[cat]"),
	}, "built/in")
	require.EqualError(t, err, "built/in/test-beside/agent.yaml:6:20: command[1]: ${dir} is for agents of a pack: what is compiled in has no directory")
	require.NotContains(t, agents.Names(), "test-beside")
	require.Contains(t, agents.Names(), "test-plain", "what is right is registered")
}

// The example in the documentation plays a problem, from a pack.
func TestExample(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	pack := t.TempDir()
	dir := filepath.Join(pack, "agents", "test-example")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "agent.yaml"), bytes.ReplaceAll([]byte(good), []byte("%ID"), []byte("test-example")), 0o600))
	script, err := os.ReadFile("../../docs/examples/agent.py")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "agent.py"), script, 0o600))
	require.NoError(t, catalog.RegisterPack(pack))
	require.NoError(t, catalog.RegisterPack(pack), "registering a pack again is fine")
	require.NoError(t, catalog.RegisterPack(t.TempDir()), "a pack without agents is fine")

	var log bytes.Buffer
	agent, err := agents.New("test-example", agents.Params{Output: &log})
	require.NoError(t, err)
	cloud := &agentstest.Cloud{Answer: func(_ context.Context, tool string, args map[string]any) (agents.Result, error) {
		command, _ := args["command"].(string)
		switch {
		case tool == "get_events":
			return agents.Result{Output: "Scaled down replica set geo-1 from 3 to 0"}, nil
		case bytes.HasPrefix([]byte(command), []byte("get deployments")):
			return agents.Result{Output: "frontend 1 8080 http\ngeo 0 8083 grpc\n"}, nil
		}
		return agents.Result{}, nil
	}}
	require.NoError(t, agent.Solve(t.Context(), agentstest.Brief(), cloud), log.String())
	require.Equal(t, map[string]any{"anomaly": true}, cloud.Accepted("detection"))
	require.Equal(t, "scaled-to-zero", cloud.Accepted("diagnosis")["mechanism"])
	require.NotNil(t, cloud.Accepted("localization"))
	require.NotNil(t, cloud.Accepted("mitigation"))
	var repair bool
	for _, c := range cloud.Calls() {
		repair = repair || c.Args["command"] == "scale deployment/geo --replicas=3"
	}
	require.True(t, repair)
}
