package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A format that is set for all commands is for those that have it; one that is asked for must exist.
func TestOutputFormatOfSettings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args      []string
		env, file string
		want      int
		out, err  string
	}{
		"variable, not of this command": {args: []string{"version"}, env: "table", out: `(?m)^gameday: `},
		"file, not of this command":     {args: []string{"version"}, file: "output: wide\n", out: `(?m)^gameday: `},
		"variable, of this command":     {args: []string{"version"}, env: "json", out: `^\{`},
		"file, of this command":         {args: []string{"describe", "agent", "nop"}, file: "output: yaml\n", out: `(?m)^name: nop$`},
		"description as table":          {args: []string{"describe", "agent", "nop"}, env: "table", out: `(?m)^Name: +nop$`},
		"list as text":                  {args: []string{"get", "agents"}, env: "text", out: `^NAME\tDESCRIPTION\n`},
		"flag":                          {args: []string{"version", "-o", "table"}, want: 2, err: `unknown output format "table"`},
		"flag over variable":            {args: []string{"version", "-o", "table"}, env: "json", want: 2, err: `unknown output format "table"`},
		"no format at all":              {args: []string{"version"}, env: "jsn", want: 2, err: `unknown output format "jsn"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, tc.args...)
			p.LookupEnv = func(key string) (string, bool) { return tc.env, key == "GAMEDAY_OUTPUT" && tc.env != "" }
			if tc.file != "" {
				require.NoError(t, os.WriteFile(filepath.Join(p.Cwd, ".gameday.yaml"), []byte(tc.file), 0o600))
			}
			require.Equal(t, tc.want, p.main(), p.err.String())
			require.Regexp(t, tc.out, p.out.String())
			require.Contains(t, p.err.String(), tc.err)
		})
	}
}
