package cli

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/orchestrator/images"
	"github.com/gameday-bench/gameday/results"
)

// Backend is what commands do that touches more than files. A test replaces what it does not want for real.
type Backend struct {
	Run      func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error)
	Resume   func(ctx context.Context, r *orchestrator.Runner, c orchestrator.ResumeConfig) (*results.Summary, error)
	Check    func(ctx context.Context, r *orchestrator.Runner, id string, seed int64, c orchestrator.RunConfig) ([]orchestrator.CheckResult, error)
	Doctor   func(ctx context.Context, o doctor.Options) []doctor.Check
	Clusters Clusters
	// Images makes the images of the executables in dir or, where dir is empty, of gameday's own.
	Images func(dir string) (*images.Set, error)
}

// Clusters are the clusters that outlive a command.
type Clusters struct {
	List      func() ([]embedded.Info, error)
	Create    func(ctx context.Context, want cluster.Spec, argv []string) (embedded.Info, error)
	Delete    func(ctx context.Context, name string) error
	Supervise func(ctx context.Context, want cluster.Spec, out io.Writer) error
}

func systemBackend() Backend {
	return Backend{
		Run: func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
			return r.Run(ctx, c)
		},
		Resume: func(ctx context.Context, r *orchestrator.Runner, c orchestrator.ResumeConfig) (*results.Summary, error) {
			return r.Resume(ctx, c)
		},
		Check: func(ctx context.Context, r *orchestrator.Runner, id string, seed int64, c orchestrator.RunConfig) ([]orchestrator.CheckResult, error) {
			return r.CheckProblem(ctx, id, seed, c)
		},
		Doctor: doctor.Run,
		Clusters: Clusters{
			List: embedded.List, Create: embedded.Create, Delete: embedded.Delete, Supervise: embedded.Supervise,
		},
		Images: images.Find,
	}
}

// providers are the kinds of clusters.
func providers(log *slog.Logger) map[string]cluster.Provider {
	return map[string]cluster.Provider{"embedded": &embedded.Provider{Log: log}}
}

// providerNames are the kinds of clusters that this build has, for flags and scenarios.
func providerNames() []string { return slices.Sorted(maps.Keys(providers(nil))) }

// runner makes the runner over the catalogues.
func (a *app) runner(c *catalogs, observer orchestrator.Observer) *orchestrator.Runner {
	log := a.logger()
	return &orchestrator.Runner{
		Problems: c.problems, Faults: c.faults, Apps: c.apps, Providers: providers(log), Observer: observer, Log: log, Tool: tool(),
		AgentDigest: agentDigest,
	}
}

// agentDigest is over the files of an agent from a pack; an agent that is compiled in is as old as this program.
func agentDigest(name string) string {
	info, err := agents.Lookup(name)
	if err != nil {
		return name
	}
	if file, err := os.Stat(info.Origin); err != nil || !file.Mode().IsRegular() {
		return name
	}
	digest, err := catalog.Digest(os.DirFS(filepath.Dir(info.Origin)), nil)
	if err != nil {
		return name
	}
	return digest
}
