package shell

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// jqLong are jq's long options without a value, by the short one that stands for them. Capital letters that jq does not have as short options are
// ours: T is tab, Z raw-output0.
var jqLong = map[string]string{
	"null-input": "n", "raw-input": "R", "slurp": "s", "compact-output": "c", "raw-output": "r", "raw-output0": "Z", "join-output": "j",
	"ascii-output": "a", "sort-keys": "S", "monochrome-output": "M", "tab": "T", "exit-status": "e", "from-file": "f", "help": "h", "version": "V",
}

// jqShort are the short options. Keys are sorted (S) and without colour (M) in any case.
const jqShort = "nRscrjaSMefhV"

// jqValues says how many words follow the long options that have any.
var jqValues = map[string]int{"arg": 2, "argjson": 2, "slurpfile": 2, "rawfile": 2, "indent": 1}

// jqOptions are jq's command line.
type jqOptions struct {
	set map[string]bool
	// indent is how much deeper a line is than the one that it belongs to; 0 is all on one line.
	indent int
	// named and positional are $ARGS.
	named      map[string]any
	positional []any
	// filter is the program, or with -f the file that it is in; has is set when there is one.
	filter    string
	hasFilter bool
	files     []string
	// rest is what operands behind the filter are: files when it is empty, or values of --args or --jsonargs.
	rest string
}

func (o *jqOptions) has(name string) bool { return o.set[name] }

// jqOptions reads the command line. What is wrong with it has been said when ok is false.
func (c *command) jqOptions() (o *jqOptions, ok bool) {
	o = &jqOptions{set: map[string]bool{}, indent: 2, named: map[string]any{}, positional: []any{}}
	onlyOperands := false
	for args := c.args; len(args) > 0; {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case onlyOperands || arg == "-" || !strings.HasPrefix(arg, "-"):
			err = o.operand(arg)
		case arg == "--":
			onlyOperands = true
		case strings.HasPrefix(arg, "--"):
			args, err = c.jqLong(o, arg[2:], args)
		default:
			err = o.short(arg[1:])
		}
		if err != nil {
			c.fail(jqUsage, "error: %v", err)
			return o, false
		}
	}
	if o.has("c") {
		o.indent = 0
	}
	return o, true
}

func (o *jqOptions) operand(arg string) error {
	switch {
	case !o.hasFilter:
		o.filter, o.hasFilter = arg, true
	case o.rest == "args":
		o.positional = append(o.positional, arg)
	case o.rest == "jsonargs":
		v, err := decodeJSON(arg)
		if err != nil {
			return errors.New("invalid JSON text passed to --jsonargs")
		}
		o.positional = append(o.positional, v)
	default:
		o.files = append(o.files, arg)
	}
	return nil
}

func (o *jqOptions) short(cluster string) error {
	for _, r := range cluster {
		if !strings.ContainsRune(jqShort, r) {
			return errors.New("unrecognized option: " + string(r))
		}
		o.set[string(r)] = true
	}
	return nil
}

// jqLong reads a long option, and returns the arguments behind it and its values.
func (c *command) jqLong(o *jqOptions, name string, args []string) ([]string, error) {
	if short, ok := jqLong[name]; ok {
		o.set[short] = true
		if short == "T" {
			o.indent = 1
		}
		return args, nil
	}
	if slices.Contains([]string{"args", "jsonargs"}, name) {
		o.rest = name
		return args, nil
	}
	n, ok := jqValues[name]
	switch {
	case !ok:
		return nil, errors.New("unrecognized option '--" + name + "'")
	case len(args) < n:
		return nil, errors.New("--" + name + " takes " + strconv.Itoa(n) + " parameters")
	case name == "indent":
		indent, err := strconv.Atoi(args[0])
		const most = 7
		if err != nil || indent < 0 || indent > most {
			return nil, errors.New("cannot indent by " + args[0] + " characters")
		}
		o.indent = indent
		return args[n:], nil
	}
	v, err := c.jqVariable(name, args[1])
	if err != nil {
		return nil, err
	}
	o.named[args[0]] = v
	return args[n:], nil
}

// jqVariable is the value of a variable that an option of some name gives.
func (c *command) jqVariable(option, word string) (any, error) {
	switch option {
	case "arg":
		return word, nil
	case "argjson":
		v, err := decodeJSON(word)
		if err != nil {
			return nil, errors.New("invalid JSON text passed to --argjson")
		}
		return v, nil
	}
	text, err := c.readSaying(word)
	if err != nil {
		return nil, errors.New("bad JSON in --" + option + ": could not open " + word + ": " + err.Error())
	}
	if option == "rawfile" {
		return text, nil
	}
	list := []any{}
	next := jsonValues(strings.NewReader(text))
	for {
		v, err := next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, errors.New("bad JSON in --slurpfile " + word + ": " + err.Error())
		}
		list = append(list, v)
	}
}

// readSaying reads a whole file; an error is in the operating system's words.
func (c *command) readSaying(name string) (string, error) {
	in, err := c.openSaying(name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	return string(data), err
}

// decodeJSON reads the one value that text is.
func decodeJSON(text string) (any, error) {
	next := jsonValues(strings.NewReader(text))
	v, err := next()
	if err != nil {
		return nil, err
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// jsonValues reads values one by one; io.EOF is their end. Numbers keep all their digits.
func jsonValues(r io.Reader) func() (any, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	return func() (any, error) {
		var v any
		err := d.Decode(&v)
		return v, err
	}
}
