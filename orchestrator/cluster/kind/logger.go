package kind

import (
	"fmt"
	"log/slog"
	"strings"

	"sigs.k8s.io/kind/pkg/log"
)

// logger gives kind's messages to our log, each a level lower: what matters of them we look at ourselves, and kind speaks to the users of
// its own command.
type logger struct{ to *slog.Logger }

var _ log.Logger = logger{}

func (l logger) Warn(message string)              { l.to.Info("kind warns", "message", strings.TrimSpace(message)) }
func (l logger) Warnf(format string, args ...any) { l.Warn(fmt.Sprintf(format, args...)) }
func (l logger) Error(message string) {
	l.to.Warn("kind reports an error", "message", strings.TrimSpace(message))
}
func (l logger) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }
func (l logger) V(level log.Level) log.InfoLogger  { return steps{l.to, level == 0} }

// steps are kind's messages about its progress. Those of a higher verbosity are dropped: they hold whole configurations.
type steps struct {
	to    *slog.Logger
	shown bool
}

func (s steps) Info(message string) {
	if s.shown {
		s.to.Debug("kind", "message", strings.TrimSpace(message))
	}
}

func (s steps) Infof(format string, args ...any) { s.Info(fmt.Sprintf(format, args...)) }
func (s steps) Enabled() bool                    { return s.shown }
