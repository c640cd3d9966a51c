package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// unknownFlag adds the nearest match and the list of flags to an error about one.
func unknownFlag(cmd *cobra.Command, err error) error {
	wrapped := &flagError{err}
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return errs.With(errs.Usage, wrapped)
	}
	var known []string
	collect := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	}
	cmd.Flags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	known = nearest.Sorted(known)
	hint := "known: " + strings.Join(known, ", ")
	if near := nearest.Match("--"+missing.GetSpecifiedName(), known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return errs.With(errs.Usage, errs.Hint(wrapped, "%s", hint))
}

// enum is a flag with a closed set of values.
type enum struct {
	value   *string
	allowed []string
	what    string
}

var _ pflag.Value = (*enum)(nil)

func (e *enum) String() string { return *e.value }
func (e *enum) Type() string   { return "string" }

func (e *enum) Set(text string) error {
	for _, a := range e.allowed {
		if a == text {
			*e.value = text
			return nil
		}
	}
	err := nearest.Unknown(e.what, text, e.allowed)
	return fmt.Errorf("%w; %s", err, err.Hint())
}

// enumFlag adds a flag whose values are validated and completed.
func enumFlag(cmd *cobra.Command, value *string, name, initial, what, usage string, allowed []string) {
	*value = initial
	cmd.Flags().Var(&enum{value, allowed, what}, name, usage+": "+strings.Join(allowed, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

// completeNames completes arguments from a list that is read offline.
func completeNames(names func() []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveNoFileComp
	}
}
