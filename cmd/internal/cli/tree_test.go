package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestTree walks every command: what a user sees in the help is there, short and in the same style.
func TestTree(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	count := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		count++
		at := cmd.CommandPath()
		require.NotEmpty(t, cmd.Short, at)
		require.LessOrEqual(t, len(cmd.Short), 60, "%s: %q", at, cmd.Short)
		require.NotRegexp(t, `\.$`, cmd.Short, at)
		require.Regexp(t, `^[A-Z]`, cmd.Short, at)
		if cmd.Runnable() && !cmd.Hidden {
			require.NotEmpty(t, cmd.Long, at)
			require.NotEmpty(t, cmd.Example, at)
			checkExamples(t, root, cmd)
			require.NotNil(t, cmd.Args, "%s: says what arguments it takes", at)
		}
		if cmd.HasParent() && !cmd.Parent().HasParent() && cmd.Runnable() && !cmd.Hidden {
			require.NotEmpty(t, cmd.GroupID, at)
		}
		flags := 0
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Annotations[clusterAnnotation] == nil { // The flags of a kind of cluster are a group, of which one uses few.
				flags++
			}
			require.NotEmpty(t, f.Usage, "%s --%s", at, f.Name)
			require.NotRegexp(t, `\.$`, f.Usage, "%s --%s", at, f.Name)
			require.Regexp(t, `^[a-z0-9(]`, f.Usage, "%s --%s", at, f.Name)
			require.Nil(t, root.PersistentFlags().Lookup(f.Name), "%s --%s: shadows a flag that every command has", at, f.Name)
		})
		require.LessOrEqual(t, flags, 15, at)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	require.Greater(t, count, 30)
}

// checkExamples parses the lines that call gameday: commands and flags exist.
func checkExamples(t *testing.T, root, cmd *cobra.Command) {
	t.Helper()
	found := false
	for line := range strings.Lines(cmd.Example) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "gameday ") && line != "gameday" {
			continue
		}
		found = true
		line, _, _ = strings.Cut(line, " > ")
		words := strings.Fields(strings.NewReplacer(`"`, "", "'", "").Replace(line))[1:]
		target, rest, err := root.Find(words)
		require.NoError(t, err, line)
		require.True(t, target == cmd || strings.HasPrefix(target.CommandPath(), cmd.CommandPath()), "%s: example of %s", line, target.CommandPath())
		for _, word := range rest {
			name, ok := strings.CutPrefix(word, "--")
			if !ok {
				continue
			}
			name, _, _ = strings.Cut(name, "=")
			require.NotNil(t, target.Flag(name), "%s: --%s", line, name)
		}
	}
	require.True(t, found, "%s: an example that calls it", cmd.CommandPath())
}
