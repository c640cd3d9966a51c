package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gameday-bench/gameday/cmd/internal/config"
)

// settings are what a command's flags are after all sources were looked at.
func (a *app) settings(cmd *cobra.Command) ([]config.Setting, error) {
	return config.Resolve(cmd.Flags(), a.sources())
}

func variable(name string) string {
	for _, key := range config.Keys() {
		if key.Name == name {
			return key.Env
		}
	}
	return ""
}

func hide(f *pflag.Flag) { f.Hidden = true }
