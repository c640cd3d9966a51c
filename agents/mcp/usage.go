package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gameday-bench/gameday/agents"
)

// toolUsage is the message usage of JSON lines as a tool. It is no part of the catalogue and no step.
const toolUsage = "report_usage"

const usageDescription = "For the program that runs a model: report what was spent since the last report, as its API measured it. " +
	"A model that does not know its own figures does not call this. It is no step. A report counts until the trial ends: call it before " + toolDone + "."

// usageSchema is open above: what is too much to be true is refused where it is counted.
const usageSchema = `{"type":"object","additionalProperties":false,"properties":{
 "tokens":{"type":"integer","minimum":0,"description":"Tokens since the last report, input and output together."},
 "costUSD":{"type":"number","minimum":0,"description":"US dollars since the last report."}}}`

type usageArgs struct {
	Tokens  int64   `json:"tokens"`
	CostUSD float64 `json:"costUSD"`
}

// addUsage serves report_usage where the cloud takes an agent's own figures.
func (s *Server) addUsage(cloud agents.Cloud) {
	reporter, ok := cloud.(agents.UsageReporter)
	if !ok {
		return
	}
	s.server.AddTool(&sdk.Tool{Name: toolUsage, Description: usageDescription, InputSchema: json.RawMessage(usageSchema)},
		func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return result(s.report(reporter, req.Params.Arguments)), nil
		})
}

// report hands on one report. One that spends a budget ends the trial; one that is malformed can be made again.
func (s *Server) report(reporter agents.UsageReporter, raw json.RawMessage) agents.Result {
	args, err := decodeUsage(raw)
	if err != nil {
		return agents.Result{Output: fmt.Sprintf("malformed_args: %s: %v; the schema is %s", toolUsage, err, usageSchema), IsError: true}
	}
	err = reporter.ReportUsage(args.Tokens, args.CostUSD)
	switch {
	case errors.Is(err, agents.ErrBudget):
		s.end(err)
		return agents.Result{Output: err.Error(), IsError: true}
	case err != nil:
		return agents.Result{Output: "malformed_args: " + err.Error(), IsError: true}
	}
	return agents.Result{Output: "noted"}
}

// decodeUsage decodes strictly: a misspelt field would be usage that nobody counts.
func decodeUsage(raw json.RawMessage) (usageArgs, error) {
	var args usageArgs
	if len(raw) == 0 {
		return args, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&args); err != nil {
		return args, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return args, errors.New("more than one JSON value")
	}
	return args, nil
}
