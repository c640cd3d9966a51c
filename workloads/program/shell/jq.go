package shell

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/itchyny/gojq"
)

// jq's own exit codes.
const (
	jqFalse   = 1 // With -e: the last value is false or null.
	jqUsage   = 2 // Also for input that cannot be read.
	jqCompile = 3
	jqNothing = 4 // With -e: there was no value.
	jqError   = 5
)

const jqHelp = `Usage: jq [OPTIONS] FILTER [FILES...]
       jq [OPTIONS] FILTER --args [STRINGS...]
       jq [OPTIONS] FILTER --jsonargs [JSON_VALUES...]

  -n, --null-input     -R, --raw-input      -s, --slurp          -c, --compact-output
  -r, --raw-output     --raw-output0        -j, --join-output    -a, --ascii-output
  -S, --sort-keys      -M                   --tab                --indent n
  -e, --exit-status    -f, --from-file      -V, --version        -h, --help
  --arg name value     --argjson name json  --slurpfile name file  --rawfile name file
`

// jq filters JSON. It reads the container's files and knows the container's environment and clock; there are no modules.
func jq(c *command) int {
	o, ok := c.jqOptions()
	switch {
	case !ok:
		return jqUsage
	case o.has("h"):
		c.printf("%s", jqHelp)
		return 0
	case o.has("V"):
		c.printf("gojq %s\n", gojqVersion())
		return 0
	}
	source := "."
	switch {
	case o.has("f") && !o.hasFilter:
		return c.fail(jqUsage, "error: -f: no file is given")
	case o.has("f"):
		text, err := c.readSaying(o.filter)
		if err != nil {
			return c.fail(jqUsage, "error: Could not open %s: %v", o.filter, err)
		}
		source = text
	case o.hasFilter:
		source = o.filter
	}
	run := &jqRun{c: c, o: o, inputs: newJQInputs(c, o)}
	if err := run.compile(source); err != nil {
		c.fail(jqCompile, "error: %v", err)
		return c.fail(jqCompile, "1 compile error")
	}
	return run.all()
}

// gojqVersion is the version of the library, which the binary knows.
func gojqVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/itchyny/gojq" {
			return dep.Version
		}
	}
	return "unknown"
}

// jqRun is one run of a filter over its inputs.
type jqRun struct {
	c      *command
	o      *jqOptions
	inputs *jqInputs
	code   *gojq.Code
	values []any
	// status is the exit code of -e so far.
	status int
}

func (r *jqRun) compile(source string) error {
	query, err := gojq.Parse(source)
	if err != nil {
		return fmt.Errorf("syntax error: %w", err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.o.named)) {
		names = append(names, "$"+name)
		r.values = append(r.values, r.o.named[name])
	}
	names = append(names, "$ARGS")
	r.values = append(r.values, map[string]any{"named": r.o.named, "positional": r.o.positional})
	r.code, err = gojq.Compile(query,
		gojq.WithVariables(names),
		gojq.WithEnvironLoader(r.c.environ),
		gojq.WithInputIter(r.inputs),
		gojq.WithModuleLoader(jqPrelude{}),
		gojq.WithFunction("_now", 0, 0, func(any, []any) any {
			return float64(r.c.sys.Clock.Now().UnixMicro()) / float64(time.Second/time.Microsecond)
		}),
		gojq.WithFunction("input_filename", 0, 0, func(any, []any) any {
			if r.inputs.name == "" {
				return nil
			}
			return r.inputs.name
		}),
		gojq.WithFunction("debug", 0, 0, func(v any, _ []any) any {
			text, err := gojq.Marshal([]any{"DEBUG:", v})
			if err != nil {
				return err
			}
			fmt.Fprintf(r.c.err, "%s\n", text)
			return v
		}),
		gojq.WithFunction("stderr", 0, 0, func(v any, _ []any) any {
			r.say(v)
			return v
		}),
	)
	return err
}

// jqPrelude replaces what would ask the host, and has no modules.
type jqPrelude struct{}

// LoadInitModules makes now the container's.
func (jqPrelude) LoadInitModules() ([]*gojq.Query, error) {
	q, err := gojq.Parse("def now: _now; .")
	return []*gojq.Query{q}, err
}

// LoadModule fails.
func (jqPrelude) LoadModule(name string) (*gojq.Query, error) {
	return nil, fmt.Errorf("module not found: %s", name)
}

// LoadJSON fails.
func (jqPrelude) LoadJSON(name string) (any, error) {
	return nil, fmt.Errorf("module not found: %s", name)
}

// say prints a value on the standard error, a string as it is.
func (r *jqRun) say(v any) {
	if s, ok := v.(string); ok {
		fmt.Fprint(r.c.err, s)
		return
	}
	text, err := gojq.Marshal(v)
	if err == nil {
		fmt.Fprintf(r.c.err, "%s", text)
	}
}

// all filters every input, and returns jq's exit code.
func (r *jqRun) all() int {
	if r.o.has("e") {
		r.status = jqNothing
	}
	failed := 0
	for first := true; ; first = false {
		var v any
		if !r.o.has("n") {
			var ok bool
			if v, ok = r.inputs.Next(); !ok {
				break
			}
		} else if !first {
			break
		}
		err := r.one(v)
		var halt *gojq.HaltError
		switch {
		case err == nil:
			continue
		case r.c.ctx.Err() != nil:
			return 1
		case isBrokenPipe(err):
			return codePipe
		case errors.As(err, &halt):
			return r.halt(halt)
		}
		failed = r.c.fail(jqError, "error: %v", err)
	}
	switch {
	case failed != 0:
		return failed
	case r.inputs.code != 0:
		return r.inputs.code
	}
	return r.status
}

// halt is the end that a filter asks for, with the code that it gives. What it says besides goes to the standard error.
func (r *jqRun) halt(halt *gojq.HaltError) int {
	if v := halt.Value(); v != nil {
		r.say(v)
	}
	return halt.ExitCode()
}

// one filters one input.
func (r *jqRun) one(v any) error {
	results := r.code.RunWithContext(r.c.ctx, v, r.values...)
	for {
		result, ok := results.Next()
		if !ok {
			return nil
		}
		if err, isError := result.(error); isError {
			return err
		}
		if err := r.print(result); err != nil {
			return err
		}
		if r.o.has("e") {
			r.status = 0
			if result == nil || result == false {
				r.status = jqFalse
			}
		}
	}
}

func (r *jqRun) print(v any) error {
	text, err := r.text(v)
	if err != nil {
		return err
	}
	switch {
	case r.o.has("Z"):
		text = append(text, 0)
	case !r.o.has("j"):
		text = append(text, '\n')
	}
	_, err = r.c.out.Write(text)
	return err
}

func (r *jqRun) text(v any) ([]byte, error) {
	raw := r.o.has("r") || r.o.has("j") || r.o.has("Z")
	if s, ok := v.(string); ok && raw {
		return []byte(s), nil
	}
	text, err := gojq.Marshal(v)
	if err != nil {
		return nil, err
	}
	if r.o.has("a") {
		text = asciiJSON(text)
	}
	if r.o.indent == 0 {
		return text, nil
	}
	step := strings.Repeat(" ", r.o.indent)
	if r.o.has("T") {
		step = "\t"
	}
	var b bytes.Buffer
	err = json.Indent(&b, text, "", step)
	return b.Bytes(), err
}

// asciiJSON escapes what is not ASCII, which in JSON can only stand in strings.
func asciiJSON(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
