package controlplane

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/go-logr/logr"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	chaoslog "github.com/chaos-mesh/chaos-mesh/pkg/log"
)

// configureLogging sends what Kubernetes and Chaos Mesh log to logger: errors always, the rest when logger is at debug
// level. Their information level tells the story of every request. When one of them ends the process, which they do at
// any depth, dying gets what they said last. The
// logger that it returns is theirs.
func configureLogging(logger *slog.Logger, dying func(last string)) logr.Logger {
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	last := &lastMessage{}
	l := logr.FromSlogHandler(quiet{logger.Handler(), last})
	klog.SetLoggerWithOptions(l, klog.ContextualLogger(true))
	ctrl.SetLogger(l)
	log.SetLogger(l)
	chaoslog.ReplaceGlobals(l) //nolint:staticcheck // Some of its packages still log there.
	exit := klog.OsExit
	klog.OsExit = func(code int) {
		dying(last.get())
		exit(code)
	}
	return l
}

// quiet lets only errors through, unless the handler behind it is at debug level. It remembers the last message, because
// klog hands over a fatal one like any other.
type quiet struct {
	slog.Handler
	last *lastMessage
}

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || q.Handler.Enabled(ctx, level)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	q.last.set(r.Message)
	if r.Level < slog.LevelError && !q.Handler.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.last}
}

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.last} }

// lastMessage is safe for concurrent use.
type lastMessage struct{ text atomic.Pointer[string] }

func (l *lastMessage) set(s string) { l.text.Store(&s) }

func (l *lastMessage) get() string {
	if s := l.text.Load(); s != nil {
		return *s
	}
	return ""
}
