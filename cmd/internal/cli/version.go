package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/results"
)

// What make build says with -X about the revision; the Go linker knows it, too, unless it was told -buildvcs=false.
var buildVersion, buildCommit, buildDate, buildModified string

// tool describes this program.
func tool() results.Tool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	t := describeBuild(info)
	if buildCommit != "" {
		t.Commit, t.Date, t.Dirty = buildCommit, buildDate, buildModified == "true"
	}
	if buildVersion != "" {
		t.Version = buildVersion
	}
	return t
}

// describeBuild is what the Go linker knows.
func describeBuild(info *debug.BuildInfo) results.Tool {
	t := results.Tool{Version: info.Main.Version, Go: info.GoVersion}
	if t.Version == "" || t.Version == "(devel)" {
		t.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			t.Commit = s.Value
		case "vcs.time":
			t.Date = s.Value
		case "vcs.modified":
			t.Dirty = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		version := m.Version
		if m.Replace != nil && m.Replace.Version != "" {
			version = m.Replace.Version
		}
		switch m.Path {
		case "k8s.io/client-go":
			// The client libraries of Kubernetes 1.x.y are v0.x.y; the cluster is built from the same release.
			t.Kubernetes = "v1" + strings.TrimPrefix(version, "v0")
		case "github.com/chaos-mesh/chaos-mesh/api":
			t.ChaosMesh = version
		}
	}
	return t
}

func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Long: "Print the version of gameday and of what it is built from.", GroupID: groupOther,
		Example: "  gameday version\n  gameday version -o json", Args: nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			t := tool()
			if a.output != render.Text {
				return render.Object(a.Stdout, a.output, struct {
					SchemaVersion int `json:"schemaVersion"`
					results.Tool
				}{render.SchemaVersion, t})
			}
			commit := t.Commit
			if t.Dirty {
				commit += " (modified)"
			}
			return render.Fields{
				{Name: "gameday", Value: t.Version}, {Name: "commit", Value: commit}, {Name: "date", Value: t.Date}, {Name: "go", Value: t.Go},
				{Name: "kubernetes", Value: t.Kubernetes}, {Name: "chaos-mesh/api", Value: t.ChaosMesh},
			}.Print(a.Stdout)
		},
	}
	a.outputFlag(cmd, render.ObjectFormats(), render.Text)
	return cmd
}

func newCompletion(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a completion script", GroupID: groupOther,
		Long:    "Print the script that completes gameday's commands, flags and names in a shell: " + strings.Join(shells, ", ") + ".",
		Example: "  source <(gameday completion bash)\n  gameday completion zsh > \"${fpath[1]}/_gameday\"\n  gameday completion fish > ~/.config/fish/completions/gameday.fish",
		Args:    nameArgs(1, 1), ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.Stdout)
			case "fish":
				return root.GenFishCompletion(a.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Stdout)
			}
			return unknown("shell", args[0], shells)
		},
	}
}

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show the settings", Long: "Show the settings that flags, environment and files give.", GroupID: groupOther,
		Example: "  gameday config view\n  gameday config view --show-origin",
		Args:    unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigView(a))
	return cmd
}

func newConfigView(a *app) *cobra.Command {
	origin := false
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "view", Short: "Print the settings that a run would have",
		Long:    "Print each setting with the value that a run would have now. The first of these that has it wins: the flag, the\nGAMEDAY_* variable, --config FILE or ./.gameday.yaml, the user's file, the default.",
		Example: "  gameday config view\n  gameday config view --show-origin -o json", Args: nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.viewConfig(cmd, f, origin) },
	}
	f.register(a, cmd)
	cmd.Flags().VisitAll(hide)
	cmd.Flags().BoolVar(&origin, "show-origin", false, "print where each value is from")
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

func (a *app) viewConfig(cmd *cobra.Command, f *runFlags, origin bool) error {
	if _, err := f.check(); err != nil {
		return err
	}
	settings, err := a.settings(cmd)
	if err != nil {
		return err
	}
	l := render.List{Columns: columns("setting", "value", "variable"), Items: settings}
	if origin {
		l.Columns = append(l.Columns, render.Column{Name: "origin"})
	}
	for _, s := range settings {
		row := []string{s.Name, s.Value, variable(s.Name)}
		if origin {
			row = append(row, s.Origin)
		}
		l.Rows = append(l.Rows, row)
	}
	if err := a.printList(l, false); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	return nil
}
