package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/config"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
)

// topics are help texts that belong to no command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "environment", Short: "Variables and files that gameday reads", Long: environmentTopic()},
		{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesTopic()},
		{Use: "formats", Short: "What is printed, and what is stored", Long: formatsTopic},
		{Use: "protocol", Short: "How an agent in any language takes part", Long: protocolTopic},
	}
}

func environmentTopic() string {
	var b strings.Builder
	b.WriteString(`Settings are taken from the first of: the flag, the variable, --config FILE or else ./.gameday.yaml,
$XDG_CONFIG_HOME/gameday/config.yaml (or ~/.config/gameday/config.yaml), the default. Scenario files are input, not
configuration: they win over variables and files, and flags win over them. "gameday config view --show-origin"
prints what holds.

`)
	for _, key := range config.Keys() {
		fmt.Fprintf(&b, "  %-28s %s\n", key.Env, key.Description)
	}
	b.WriteString(`
Further variables:

  GAMEDAY_BIN_DIR              directory of gameday's other binaries, where they are not beside it
  GAMEDAY_PROGRAMS             binaries with programs of your own, by their absolute paths, separated as in PATH: embedded
                               clusters have their images beside gameday's
  XDG_RUNTIME_DIR              where the directories of clusters are; else the directory for temporary files
  NO_COLOR, TERM=dumb, CI      no colours; no redrawing
  COLUMNS                      width of tables where the terminal does not say

Agents get an empty directory and an environment of their own, never this one.`)
	return b.String()
}

func exitCodesTopic() string {
	var b strings.Builder
	for _, m := range errs.ExitMeanings() {
		fmt.Fprintf(&b, "  %-4d %s\n", m.Code, m.Meaning)
	}
	b.WriteString(`
The first SIGINT or SIGTERM stops in order: the trials under way are cancelled, faults recovered, clusters taken down, and
the run directory completed. The second stops at once. "gameday resume RUN" plays what is left.`)
	return b.String()
}

var formatsTopic = `Standard output is the answer, standard error is progress and remarks, the run directory is everything.

-o takes, depending on the command: ` + strings.Join(append(render.ListFormats(), render.Text), ", ") + `.
Tables are aligned on a terminal; otherwise their columns are separated by tabs and nothing is cut. JSON and YAML have
the same fields; lists are {"schemaVersion": 1, "items": [...]}, also when they are empty. Times are RFC 3339 in UTC,
durations are seconds.

A run directory:

  run.json         what was asked for, versions, digests, the machine, status
  trials.jsonl     one line for each finished trial: status, scores, times; synced to the disk line by line
  trials/PROBLEM[.twin]/AGENT/ATTEMPT[.rN]/
    trial.json  events.jsonl  transcript.jsonl  submission.json  evidence.json  score.json  logs/
  summary.json  summary.md
  scores/N/        scores that "gameday score" made later

It can be read at any moment, also after the process that wrote it was killed: then its status is interrupted. The
status of a trial is one of graded, agent_error, agent_timeout, budget_exhausted (these have scores), infra_error,
fault_not_live, grader_error (these were tried again and have none) and cancelled.`

const protocolTopic = `An agent is a program in any language. A directory agents/NAME/agent.yaml in a private pack (--catalog DIR) says how it
is started and whether it speaks JSON lines or MCP:

  apiVersion: gameday.dev/v1
  kind: Agent
  id: mine
  description: My agent.
  transport: stdio            # or mcp
  command: [python3, "${dir}/mine.py"]
  env: [MY_API_KEY]           # variables that are passed on; no others are

It runs in an empty directory. With stdio it reads and writes one JSON object a line; standard error is kept with the
trial. docs/protocol.md has every message.

  <- {"type":"brief","protocol":1,"brief":{"prompt":"...","tasks":[...],"budget":{...},...},"tools":[...]}
  -> {"type":"call","id":1,"tool":"kubectl","args":{"command":"get pods -n hotel"}}
  <- {"type":"result","id":1,"output":"..."}
  -> {"type":"call","id":2,"tool":"submit_detection","args":{"anomaly":true}}
  <- {"type":"result","id":2,"output":"..."}
  -> {"type":"done"}

Answers are handed in with the tools submit_detection, submit_localization, submit_diagnosis and submit_mitigation. With mcp
the same tools are served over streamable HTTP (GAMEDAY_MCP_URL, GAMEDAY_MCP_TOKEN) and through
"gameday mcp --trial $GAMEDAY_MCP_SOCKET", for clients that launch their servers themselves.`
