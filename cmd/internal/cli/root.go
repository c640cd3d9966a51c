package cli

import (
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/config"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// The groups of commands in the help.
const (
	groupRun     = "run"
	groupCatalog = "catalog"
	groupCluster = "cluster"
	groupResults = "results"
	groupOther   = "other"
)

const rootLong = `Gameday measures agents that operate cloud services.

It brings up a real Kubernetes with an application under load, injects faults, lets an agent work
through a bounded interface, and scores detection, localization, diagnosis and mitigation.
By default all of it runs on this machine, without root, Docker or a network: the cluster is
processes of this user. --cluster kind and --cluster existing take other clusters.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "gameday",
		Short:         "Benchmark agents that operate cloud services",
		Long:          rootLong,
		Example:       "  gameday doctor\n  gameday run smoke --agent oracle --agent nop\n  gameday get problems",
		SilenceUsage:  true,
		SilenceErrors: true,
		// Without a subcommand the help is what is wanted; an unknown one is an error with the nearest match.
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.configure(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	for _, g := range []cobra.Group{
		{ID: groupRun, Title: "Run:"}, {ID: groupCatalog, Title: "Catalogue:"}, {ID: groupCluster, Title: "Clusters:"},
		{ID: groupResults, Title: "Results:"}, {ID: groupOther, Title: "Other:"},
	} {
		root.AddGroup(&g)
	}
	root.SetHelpCommandGroupID(groupOther)
	flags := root.PersistentFlags()
	flags.StringArrayVar(&a.packs, "catalog", nil, "directory of a private pack (repeatable)")
	flags.StringVar(&a.configFile, "config", "", "configuration file (default ./.gameday.yaml and the user's)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print nothing on standard error but errors")
	flags.CountVarP(&a.verbose, "verbose", "v", "log more (repeatable)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return unknownFlag(cmd, err) })
	root.AddCommand(
		newRun(a), newResume(a), newCheck(a), newValidate(a), newScore(a),
		newGet(a), newDescribe(a), newCreate(a), newDelete(a), newSupervise(a), newExecutor(a), newImages(a),
		newDoctor(a), newVersion(a), newCompletion(a), newMCP(a), newConfig(a),
	)
	root.AddCommand(topics()...)
	return root
}

// configure resolves the settings of the command that is about to run.
func (a *app) configure(cmd *cobra.Command) error {
	_, err := config.Resolve(cmd.Flags(), a.sources())
	return err
}

func (a *app) sources() config.Sources {
	return config.Sources{LookupEnv: a.LookupEnv, Cwd: a.Cwd, ConfigFlag: a.configFile}
}

// logger writes what -v asks for to standard error.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.quiet:
		return slog.New(slog.DiscardHandler)
	case a.verbose == 1:
		level = slog.LevelInfo
	case a.verbose > 1:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level}))
}

// notes is where remarks go that are no answer and no error.
func (a *app) notes() io.Writer {
	if a.quiet {
		return io.Discard
	}
	return a.Stderr
}

// outputFlag adds -o with the formats that are allowed. A format from the environment or a file is meant for all commands: those
// that do not have it print as they do without it.
func (a *app) outputFlag(cmd *cobra.Command, formats []string, initial string) {
	format := initial
	cmd.Flags().StringVarP(&format, "output", "o", initial, "output format: "+list(formats))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("output") && render.Known(format) && !slices.Contains(formats, format) {
			format = initial
		}
		a.output = format
		return render.CheckFormat(format, formats)
	}
}

func list(words []string) string {
	out := ""
	for i, w := range words {
		if i > 0 {
			out += ", "
		}
		out += w
	}
	return out
}

// unknownCommand is the Args of a command that only groups others.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return unknown("command", args[0], known)
}

// unknown is an error of party usage with the list of what exists and the nearest match.
func unknown(what, name string, known []string) error {
	err := nearest.Unknown(what, name, known)
	return errs.With(errs.Usage, errs.Hint(err, "%s", err.Hint()))
}

// nameArgs wants exactly n arguments, called as the usage line calls them.
func nameArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return &flagError{errs.Newf(errs.Usage, "%s: got %s", cmd.CommandPath(), plural(len(args), "argument"))}
		}
		return nil
	}
}
