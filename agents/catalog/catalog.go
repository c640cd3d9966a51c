// Package catalog holds the external agents: directories with an agent.yaml that says how to start a process that speaks
// JSON lines or MCP. A private pack adds more with --catalog DIR: DIR/agents/<id>/agent.yaml.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/mcp"
	"github.com/gameday-bench/gameday/agents/stdio"
	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// File is the name of an agent's file.
const File = "agent.yaml"

// dirVariable stands for the directory of the file in a command.
const dirVariable = "${dir}"

//go:embed */agent.yaml
var embedded embed.FS

// Entry is one agent.yaml.
type Entry struct {
	APIVersion  string `yaml:"apiVersion" json:"apiVersion"` // gameday.dev/v1
	Kind        string `yaml:"kind" json:"kind"`             // Agent
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
	// Transport is stdio (JSON lines) or mcp.
	Transport string `yaml:"transport" json:"transport"`
	// Command is the argument vector; ${dir} is the directory of the file, which what is compiled in has none of. With transport
	// mcp it may be empty: then somebody attaches by hand.
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	// Env are the names of environment variables that are passed on.
	Env []string `yaml:"env,omitempty" json:"env,omitempty"`
	// SetEnv are further variables.
	SetEnv map[string]string `yaml:"setEnv,omitempty" json:"setEnv,omitempty"`
	Limits Limits            `yaml:"limits,omitempty" json:"limits"`
}

// Limits bound the process; zero values mean stdio.Limits' defaults.
type Limits struct {
	Line  int           `yaml:"line,omitempty" json:"line,omitempty"`   // bytes
	Total int64         `yaml:"total,omitempty" json:"total,omitempty"` // bytes
	Calls int           `yaml:"calls,omitempty" json:"calls,omitempty"`
	Idle  time.Duration `yaml:"idle,omitempty" json:"idle,omitempty"`
	Exit  time.Duration `yaml:"exit,omitempty" json:"exit,omitempty"`
}

var envPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// RegisterEmbedded registers the agents that are compiled in.
func RegisterEmbedded() error { return RegisterFS(embedded, "agents/catalog") }

// RegisterFS registers the agents of a file system that is no directory on the disk: <id>/agent.yaml, shown below prefix. A command
// that names ${dir} is an error there: nothing lies beside the file for a process to read. Errors are as in RegisterPack.
func RegisterFS(files fs.FS, prefix string) error {
	return register(catalog.Source{FS: files, Prefix: prefix}, "")
}

// RegisterPack registers the agents of a private pack: DIR/agents/<id>/agent.yaml. A pack without agents is fine. The error,
// of party usage, is a yamlx.ErrorList of all that is wrong in any file; what is right is registered.
func RegisterPack(pack string) error {
	abs, err := filepath.Abs(filepath.Join(pack, "agents"))
	if err != nil {
		return fmt.Errorf("find agents of pack: %w", err)
	}
	return register(catalog.Pack(pack, "agents"), abs)
}

// register reads the agents of a source, whose directory is dir ("": none), and adds them to the registry, which keeps names unique over
// all packs and the agents in Go.
func register(source catalog.Source, dir string) error {
	_, err := catalog.Load(catalog.Kind[Entry]{
		Name: "agent", Layout: catalog.Layout{File: File}, ID: func(e Entry) string { return e.ID },
		Read: func(item catalog.Item) (Entry, error) {
			data, err := item.Data()
			if err != nil {
				return Entry{}, err
			}
			entry, err := decode(item.Path, data, item.ID, dir != "")
			if err != nil {
				return Entry{}, err
			}
			if old, unknown := agents.Lookup(item.ID); unknown == nil && old.Origin == item.Path {
				return entry, nil // Read before, by another command line in this process.
			}
			err = agents.Register(agents.Info{Name: entry.ID, Description: entry.Description, Origin: item.Path, Env: entry.Env},
				entry.factory(filepath.Join(dir, item.ID)))
			if err != nil {
				return Entry{}, yamlx.Problem{File: item.Path, Line: 1, Path: "id", Message: err.Error()}
			}
			return entry, nil
		},
	}, source)
	return err
}

// Decode reads one agent.yaml strictly. file is the name for errors; id is the name of its directory. The error is a
// yamlx.ErrorList.
func Decode(file string, data []byte, id string) (Entry, error) { return decode(file, data, id, true) }

// decode is Decode for a file that lies in a directory of the disk, or does not.
func decode(file string, data []byte, id string, onDisk bool) (Entry, error) {
	var e Entry
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return e, err
	}
	if err := doc.Decode(&e); err != nil {
		return e, err
	}
	var list yamlx.ErrorList
	wrong := func(bad bool, path, format string, args ...any) {
		if bad {
			list = append(list, doc.Problem(path, format, args...))
		}
	}
	wrong(e.APIVersion != "gameday.dev/v1", "apiVersion", "want gameday.dev/v1, got %q", e.APIVersion)
	wrong(e.Kind != "Agent", "kind", "want Agent, got %q", e.Kind)
	wrong(!catalog.ValidID(e.ID), "id", "want %s, got %q", catalog.IDRule, e.ID)
	wrong(e.ID != id, "id", "want the name of the directory, %q, got %q", id, e.ID)
	wrong(e.Description == "", "description", "want one sentence")
	wrong(e.Transport != "stdio" && e.Transport != "mcp", "transport", "want stdio or mcp, got %q", e.Transport)
	wrong(e.Transport == "stdio" && len(e.Command) == 0, "command", "want the command that is the agent")
	for i, arg := range e.Command {
		wrong(!onDisk && strings.Contains(arg, dirVariable), yamlx.Index("command", i), "%s is for agents of a pack: what is compiled in has no directory", dirVariable)
	}
	for i, name := range e.Env {
		wrong(!envPattern.MatchString(name), yamlx.Index("env", i), "want the name of an environment variable, got %q", name)
	}
	for name := range e.SetEnv {
		wrong(!envPattern.MatchString(name), yamlx.Child("setEnv", name), "want the name of an environment variable, got %q", name)
	}
	wrong(e.Limits.Line < 0 || e.Limits.Total < 0 || e.Limits.Calls < 0 || e.Limits.Idle < 0 || e.Limits.Exit < 0, "limits", "want no negative values")
	return e, list.Err()
}

// factory makes the agent for a trial. dir is the directory of the file, empty for one that is compiled in.
func (e Entry) factory(dir string) agents.Factory {
	return func(p agents.Params) (agents.Agent, error) {
		command := stdio.Command{
			Env: e.Env, SetEnv: map[string]string{"GAMEDAY_SEED": fmt.Sprint(p.Seed)}, Stderr: p.Output,
			Limits: stdio.Limits{Line: e.Limits.Line, Total: e.Limits.Total, Calls: e.Limits.Calls, Idle: e.Limits.Idle, Exit: e.Limits.Exit},
		}
		for _, arg := range e.Command {
			command.Argv = append(command.Argv, strings.ReplaceAll(arg, dirVariable, dir))
		}
		for k, v := range e.SetEnv {
			command.SetEnv[k] = v
		}
		if e.Transport == "stdio" {
			return &command, nil
		}
		return &mcp.Agent{Command: command, Announce: func(socket, url, token string) {
			p.Log.Info("trial is open to MCP clients", "attach", "gameday mcp --trial "+socket, "url", url)
			fmt.Fprintf(p.Output, "attach with: gameday mcp --trial %s\nor over HTTP: %s with bearer token %s\n", socket, url, token)
		}}, nil
	}
}
