package aci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/agents"
)

// toolReadOutput pages; its own output is not kept again.
const toolReadOutput = "read_output"

// tool is one entry of the catalogue: the schema is generated from the handler's argument type.
type tool struct {
	info agents.Tool
	run  func(ctx context.Context, args json.RawMessage) output
}

// define makes a tool whose arguments are a T. refine completes the schema that the agent reads (closed vocabularies,
// bounds); those are checked by the handler, which says it better and takes what is meant.
func define[T any](name, doc string, handler func(context.Context, T) output, refine ...func(*jsonschema.Schema)) (tool, error) {
	schema, err := jsonschema.For[T](nil)
	if err != nil {
		return tool{}, fmt.Errorf("make schema of %s: %w", name, err)
	}
	resolved, err := schema.CloneSchemas().Resolve(nil)
	if err != nil {
		return tool{}, fmt.Errorf("resolve schema of %s: %w", name, err)
	}
	for _, r := range refine {
		r(schema)
	}
	encoded, err := json.Marshal(schema)
	if err != nil {
		return tool{}, fmt.Errorf("encode schema of %s: %w", name, err)
	}
	return tool{
		info: agents.Tool{Name: name, Description: doc, InputSchema: encoded},
		run: func(ctx context.Context, raw json.RawMessage) output {
			args, err := decodeArgs[T](raw, resolved)
			if err != nil {
				prefix := "malformed_args"
				if strings.HasPrefix(name, "submit_") {
					prefix = "malformed_submission"
				}
				return failed("%s: %s: %v; the schema is %s", prefix, name, err, encoded)
			}
			return handler(ctx, args)
		},
	}, nil
}

// decodeArgs decodes strictly: unknown fields, wrong types, missing required fields and trailing data are errors.
func decodeArgs[T any](raw json.RawMessage, schema *jsonschema.Resolved) (T, error) {
	var args T
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&args); err != nil {
		return args, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return args, errors.New("more than one JSON value")
	}
	var generic any
	if err := json.Unmarshal(raw, &generic); err != nil {
		return args, err
	}
	return args, schema.Validate(generic)
}

func (s *Session) buildCatalogue() error {
	s.tools = map[string]tool{}
	var errs []error
	add := func(t tool, err error) {
		errs = append(errs, err)
		if err == nil {
			s.tools[t.info.Name] = t
		}
	}
	s.addClusterTools(add)
	s.addTelemetryTools(add)
	s.addSubmissionTools(add)
	for _, name := range slices.Sorted(maps.Keys(s.tools)) {
		s.catalogue = append(s.catalogue, s.tools[name].info)
	}
	return errors.Join(errs...)
}

func (s *Session) toolNames() string {
	return strings.Join(slices.Sorted(maps.Keys(s.tools)), ", ")
}

type kubectlArgs struct {
	Command string `json:"command" jsonschema:"One kubectl command line, for example: get pods -o wide. Quotes and here-documents work; pipes and variables do not."`
	Stdin   string `json:"stdin,omitempty" jsonschema:"What the command reads from its standard input, for example a manifest for apply -f -."`
	Timeout int    `json:"timeout_seconds,omitempty" jsonschema:"Seconds after which the command is stopped: 60 by default, 5 for -w and logs -f, at most 300."`
}

type logsArgs struct {
	Target    string `json:"target" jsonschema:"A pod's name, TYPE/NAME such as deployment/geo, or a label selector such as app=geo."`
	Namespace string `json:"namespace,omitempty" jsonschema:"The namespace; the application's by default."`
	Container string `json:"container,omitempty" jsonschema:"The container; all of them by default."`
	Previous  bool   `json:"previous,omitempty" jsonschema:"The log of the container's previous, crashed instance."`
	Tail      int    `json:"tail,omitempty" jsonschema:"How many of the last lines; 100 by default."`
	Since     int    `json:"since_seconds,omitempty" jsonschema:"Only lines younger than this."`
	Contains  string `json:"contains,omitempty" jsonschema:"Only lines that contain this text, whatever its case."`
}

type eventsArgs struct {
	Namespace string `json:"namespace,omitempty" jsonschema:"The namespace; the application's by default; * for all."`
	For       string `json:"for,omitempty" jsonschema:"Only events about this object: KIND/NAME."`
	Type      string `json:"type,omitempty" jsonschema:"Normal or Warning; both by default."`
}

type waitArgs struct {
	Seconds float64 `json:"seconds" jsonschema:"How long to wait: up to 120."`
}

type readArgs struct {
	ID     string `json:"id" jsonschema:"The id from the end of the truncated output."`
	Offset int    `json:"offset" jsonschema:"The byte to read on from."`
}

func (s *Session) addClusterTools(add func(tool, error)) {
	add(define("kubectl", "Run one kubectl command against the cluster. Works on the application's namespace where none is named. "+
		"Not available: config, edit, proxy, port-forward, attach, plugins. Files: only stdin (-f -) and the trial's workspace.", s.runKubectl))
	add(define("get_logs", "Read container logs, each line with its pod and container.", s.getLogs))
	add(define("get_events", "List Kubernetes events, oldest first.", s.getEvents))
	add(define("wait", "Wait before the next step, for example for a repair to take effect.", s.wait,
		func(schema *jsonschema.Schema) {
			schema.Properties["seconds"].Minimum, schema.Properties["seconds"].Maximum = ptr.To(0.0), ptr.To(maxWait)
		}))
	add(define(toolReadOutput, "Read on in an output that was truncated.", func(_ context.Context, a readArgs) output {
		return s.outputs.read(a.ID, a.Offset)
	}))
}

type componentArg struct {
	Kind      string `json:"kind" jsonschema:"The kind of the component."`
	Name      string `json:"name" jsonschema:"The name of the object, for example the Deployment's."`
	Namespace string `json:"namespace,omitempty" jsonschema:"Its namespace; the application's by default."`
}

type detectionArgs struct {
	Anomaly *bool `json:"anomaly" jsonschema:"Whether something is wrong with the system."`
}

type localizationArgs struct {
	Components []componentArg `json:"components" jsonschema:"Where the fault is: components, the most likely first, at most 10."`
}

type diagnosisArgs struct {
	Component   componentArg `json:"component" jsonschema:"The component that is the root cause."`
	Mechanism   string       `json:"mechanism" jsonschema:"What is wrong with it."`
	Field       string       `json:"field,omitempty" jsonschema:"The wrong field where there is one, for example spec.ports[0].targetPort."`
	Explanation string       `json:"explanation,omitempty" jsonschema:"The reasoning, for people."`
}

type mitigationArgs struct {
	Summary string `json:"summary,omitempty" jsonschema:"What was done, for people."`
}

func (s *Session) addSubmissionTools(add func(tool, error)) {
	brief := s.config.Brief
	kinds, mechanisms := enum(brief.ComponentKinds), enum(brief.Mechanisms)
	add(define("submit_detection", "Answer whether something is wrong. Each task can be answered once.",
		func(_ context.Context, a detectionArgs) output { return s.submitDetection(a) },
		func(schema *jsonschema.Schema) {
			plain(schema.Properties["anomaly"], "boolean")
		}))
	add(define("submit_localization", "Answer which components are at fault, the most likely first. Once.",
		func(_ context.Context, a localizationArgs) output { return s.submitLocalization(a) },
		func(schema *jsonschema.Schema) {
			list := schema.Properties["components"]
			plain(list, "array")
			list.MinItems, list.MaxItems = ptr.To(1), ptr.To(maxComponents)
			list.Items.Properties["kind"].Enum = kinds
		}))
	add(define("submit_diagnosis", "Answer what the root cause is. Once.",
		func(_ context.Context, a diagnosisArgs) output { return s.submitDiagnosis(a) },
		func(schema *jsonschema.Schema) {
			schema.Properties["mechanism"].Enum = mechanisms
			schema.Properties["component"].Properties["kind"].Enum = kinds
		}))
	add(define("submit_mitigation", "Say that the system is repaired, after it was. Once.",
		func(_ context.Context, a mitigationArgs) output { return s.submitMitigation(a) }))
}

// enum is a closed vocabulary for a schema.
func enum(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// plain makes a generated "null or T" a T: null is no answer.
func plain(schema *jsonschema.Schema, kind string) { schema.Type, schema.Types = kind, nil }
