package shell_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/shell"
)

const (
	tableFile  = "../../../docs/shell.md"
	tableStart = "<!-- commands: generated -->\n"
	tableEnd   = "<!-- end of commands -->\n"
	// updateTable is the environment variable that makes the test write the table instead of comparing it.
	updateTable = "UPDATE_SHELL_TABLE"
	letters     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// TestTable compares the table of the documentation with the shell: every command it has, and the options that each
// knows, which is found out by trying them.
func TestTable(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| command | options |\n| --- | --- |\n")
	for _, name := range shell.Commands() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", name, options(t, name))
	}
	data, err := os.ReadFile(tableFile)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(data), tableStart)
	require.True(t, ok)
	old, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	if os.Getenv(updateTable) != "" {
		require.NoError(t, os.WriteFile(tableFile, []byte(before+tableStart+table.String()+tableEnd+after), 0o644))
		return
	}
	require.Equal(t, table.String(), old, "the table is written by %s=1 go test -run TestTable", updateTable)
}

// options are the short options that a command knows; one that refuses none has options of its own kind.
func options(t *testing.T, name string) string {
	t.Helper()
	b := newBox(t)
	var known []string
	for _, letter := range strings.Split(letters, "") {
		if tryOption(t, b, name, "-"+letter) {
			known = append(known, "-"+letter)
		}
	}
	switch len(known) {
	case len(letters):
		return "its own syntax"
	case 0:
		return "none"
	}
	// A command that counts takes every digit for a number.
	if slices.Contains(known, "-0") && slices.Contains(known, "-7") {
		known = append([]string{"-NUMBER"}, slices.DeleteFunc(known, func(o string) bool { return o[1] <= '9' })...)
	}
	return "`" + strings.Join(known, " ") + "`"
}

func tryOption(t *testing.T, b *box, name, option string) bool {
	t.Helper()
	b.out.Reset()
	b.err.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = shell.Run(ctx, b.sys, []string{name, option}) // Most lack an operand then.
	return !strings.Contains(b.err.String(), "unrecognized option")
}
