package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
)

// getFlags are the flags that every list has.
type getFlags struct {
	selectors []string
	sortBy    string
	noHeaders bool
}

// source is one kind of thing that can be listed.
type source struct {
	name, short, example string
	// args says how many arguments the command takes at most, and how the usage line calls them.
	args     int
	argsName string
	// selectable are the keys of -l.
	selectable []string
	// list returns the rows. Each row has the values that -l compares.
	list func(a *app, args []string) (render.List, []map[string][]string, error)
	// flags adds more.
	flags func(a *app, cmd *cobra.Command)
}

func newGet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get",
		Short:   "List problems, apps, agents, runs and more",
		Long:    "List what is in the catalogues, on this machine and in the run directories.",
		GroupID: groupCatalog,
		Example: "  gameday get problems\n  gameday get problems -l difficulty=easy -o wide\n  gameday get runs -o json\n  gameday get trials",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, s := range sources() {
		cmd.AddCommand(newGetOne(a, s))
	}
	return cmd
}

func newGetOne(a *app, s source) *cobra.Command {
	f := &getFlags{}
	use := s.name
	if s.argsName != "" {
		use += " " + s.argsName
	}
	cmd := &cobra.Command{
		Use: use, Short: s.short, Long: s.short + ".", Example: s.example, Args: nameArgs(0, s.args), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			l, labels, err := s.list(a, args)
			if err != nil {
				return err
			}
			if l, err = f.apply(s, l, labels); err != nil {
				return err
			}
			return a.printList(l, f.noHeaders)
		},
	}
	if len(s.selectable) > 0 {
		cmd.Flags().StringArrayVarP(&f.selectors, "selector", "l", nil, "only rows with key=value (repeatable); keys: "+list(s.selectable))
	}
	cmd.Flags().StringVar(&f.sortBy, "sort-by", "", "column to sort by")
	cmd.Flags().BoolVar(&f.noHeaders, "no-headers", false, "print no header line")
	if s.flags != nil {
		s.flags(a, cmd)
	}
	a.outputFlag(cmd, render.ListFormats(), render.Table)
	return cmd
}

// apply selects and sorts. Items stay in step with the rows.
func (f *getFlags) apply(s source, l render.List, labels []map[string][]string) (render.List, error) {
	items, err := slice(l.Items)
	if err != nil {
		return l, err
	}
	keep := make([]int, len(l.Rows))
	for i := range keep {
		keep[i] = i
	}
	for _, selector := range f.selectors {
		key, value, ok := strings.Cut(selector, "=")
		if !ok {
			return l, &flagError{errs.Newf(errs.Usage, "invalid --selector %q: want key=value", selector)}
		}
		if !slices.Contains(s.selectable, key) {
			return l, unknown("selector key", key, s.selectable)
		}
		keep = slices.DeleteFunc(keep, func(i int) bool { return !slices.Contains(labels[i][key], value) })
	}
	if f.sortBy != "" {
		var names []string
		for _, c := range l.Columns {
			names = append(names, c.Name)
		}
		column := slices.Index(names, strings.ToLower(f.sortBy))
		if column < 0 {
			return l, unknown("column", f.sortBy, names)
		}
		slices.SortStableFunc(keep, compareCells(l, column))
	}
	rows, kept := [][]string{}, []any{}
	for _, i := range keep {
		rows, kept = append(rows, l.Rows[i]), append(kept, items[i])
	}
	if len(rows) == 0 && len(l.Rows) > 0 {
		l.Note = fmt.Sprintf("no %s match", s.name)
	}
	l.Rows, l.Items = rows, kept
	return l, nil
}
