// Package envfile keeps a file of environment variables that a shell reads with the command "source".
package envfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Read returns the variables in a file. A file that does not exist has none.
func Read(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read variables: %w", err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		assignment, exported := strings.CutPrefix(line, "export ")
		key, value, assigned := strings.Cut(assignment, "=")
		if exported && assigned {
			out[key] = unquoted(value)
		}
	}
	return out, nil
}

// Update sets variables in a file, makes it where it does not exist, and leaves the others as they are. An empty value takes a variable
// out. The file is replaced at once, so that nobody reads half of it.
func Update(name string, change map[string]string) error {
	all, err := Read(name)
	if err != nil {
		return err
	}
	for key, value := range change {
		if all[key] = value; value == "" {
			delete(all, key)
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write variables: %w", err)
	}
	half := name + ".partial"
	if err := os.WriteFile(half, []byte(Lines(all)), 0o644); err != nil {
		return fmt.Errorf("write variables: %w", err)
	}
	if err := os.Rename(half, name); err != nil {
		return fmt.Errorf("write variables: %w", err)
	}
	return nil
}

// Lines are the variables as a shell reads them, sorted.
func Lines(variables map[string]string) string {
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(&out, "export %s=%s\n", key, quoted(variables[key]))
	}
	return out.String()
}

const escapedQuote = `'\''`

func quoted(value string) string {
	return "'" + strings.ReplaceAll(value, "'", escapedQuote) + "'"
}

func unquoted(text string) string {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "'"), "'")
	return strings.ReplaceAll(text, escapedQuote, "'")
}
