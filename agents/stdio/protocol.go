// Package stdio lets any process be an agent: it speaks JSON lines on its standard input and output. docs/protocol.md
// describes the protocol for people who write agents in other languages.
package stdio

import (
	"encoding/json"
	"errors"

	"github.com/gameday-bench/gameday/agents"
)

// ProtocolVersion is sent with the brief.
const ProtocolVersion = 1

// The named ways in which a process fails as an agent. Each is blamed on the agent.
var (
	// ErrGarbage is a line that is no message.
	ErrGarbage = errors.New("agent_garbage: the agent sent a line that is no message of the protocol")
	// ErrFlood is a line, or an output, that is too long.
	ErrFlood = errors.New("agent_flood: the agent sent too much")
	// ErrExited is an end without {"type":"done"}.
	ErrExited = errors.New("agent_exited: the agent ended before it said that it was done")
	// ErrHang is silence for longer than Limits.Idle, with no call under way.
	ErrHang = errors.New("agent_hang: the agent sent nothing for too long")
	// ErrStart is a command that could not be started.
	ErrStart = errors.New("agent_start: the agent could not be started")
)

// The types of messages. From the harness: brief, result, end. From the agent: call, usage, done.
const (
	typeBrief  = "brief"
	typeResult = "result"
	typeEnd    = "end"
	typeCall   = "call"
	typeUsage  = "usage"
	typeDone   = "done"
)

// fromAgent is any message of the agent.
type fromAgent struct {
	Type string `json:"type"`
	// ID, Tool and Args belong to a call. ID is given back as it came.
	ID   json.RawMessage `json:"id"`
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args"`
	// Tokens and CostUSD belong to usage: what was spent since the last one.
	Tokens  int64   `json:"tokens"`
	CostUSD float64 `json:"costUSD"`
}

// briefMessage is the first line that an agent reads.
type briefMessage struct {
	Type     string        `json:"type"`
	Protocol int           `json:"protocol"`
	Brief    agents.Brief  `json:"brief"`
	Tools    []agents.Tool `json:"tools"`
}

type resultMessage struct {
	Type string          `json:"type"`
	ID   json.RawMessage `json:"id,omitempty"`
	agents.Result
}

// endMessage says that no further call will be answered.
type endMessage struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}
