package controlplane

import (
	"context"
	"log/slog"

	"github.com/go-logr/logr"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	chaoslog "github.com/chaos-mesh/chaos-mesh/pkg/log"
)

// configureLogging sends what Kubernetes and Chaos Mesh log to logger: errors always, the rest when logger is at debug
// level. Their information level tells the story of every request.
func configureLogging(logger *slog.Logger) {
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	l := logr.FromSlogHandler(quiet{logger.Handler()})
	klog.SetLoggerWithOptions(l, klog.ContextualLogger(true))
	ctrl.SetLogger(l)
	log.SetLogger(l)
	chaoslog.ReplaceGlobals(l)
}

// quiet lets only errors through, unless the handler behind it is at debug level.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
