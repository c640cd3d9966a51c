package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/chaosdaemon/stress"
)

// exitError ends the process with a code and says nothing more.
type exitError struct{ code int }

func (exitError) Error() string { return "the stressor failed" }

// newStress runs one stressor of a StressChaos: a node's chaos daemon starts it and counts it against a container.
func newStress(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:                "stress",
		Short:              "Burn CPU time or hold memory on behalf of a container",
		Hidden:             true,
		DisableFlagParsing: true, // The flags are those of stress-ng and memStress.
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := stress.Main(cmd.Context(), args, cmd.InOrStdin(), stderr); code != 0 {
				return exitError{code}
			}
			return nil
		},
	}
}
