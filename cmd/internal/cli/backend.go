package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/orchestrator/images"
	"github.com/gameday-bench/gameday/results"
)

// Backend is what commands do that touches more than files. A test replaces what it does not want for real.
type Backend struct {
	Run    func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error)
	Resume func(ctx context.Context, r *orchestrator.Runner, c orchestrator.ResumeConfig) (*results.Summary, error)
	Check  func(ctx context.Context, r *orchestrator.Runner, id string, seed int64, c orchestrator.RunConfig) ([]orchestrator.CheckResult, error)
	Doctor func(ctx context.Context, o doctor.Options) []doctor.Check
	// Prepare fetches what kind clusters need before the first comes up; nil fetches nothing.
	Prepare  func(ctx context.Context, p *kind.Provider, want cluster.Spec) error
	Clusters Clusters
	// Images makes the images of the executables in dir or, where dir is empty, of gameday's own.
	Images func(dir string) (*images.Set, error)
}

// Clusters are the clusters that outlive a command.
type Clusters struct {
	// List returns those that have a record, Left what container engines have besides: nil, or an error about engines that do not answer, with
	// what the others have. Others are names of what belongs to other owners. nil functions return nothing.
	List   func() ([]record.Info, error)
	Left   func(ctx context.Context) ([]record.Info, error)
	Others func(ctx context.Context) []string
	Create func(ctx context.Context, want cluster.Spec, argv []string) (record.Info, error)
	Delete func(ctx context.Context, info record.Info) error
	// Prune removes what clusters shared, where none is left. CleanUp removes what killed runs left on a cluster that is there, and returns
	// what it found.
	Prune     func(ctx context.Context) error
	CleanUp   func(ctx context.Context, p *existing.Provider) ([]string, error)
	Supervise func(ctx context.Context, p cluster.Provider, want cluster.Spec, out io.Writer) error
}

// stopGrace is how long an embedded cluster may take to end before its owner is killed.
const stopGrace = 10 * time.Second

// deleteCluster deletes a cluster of any kind.
func deleteCluster(ctx context.Context, info record.Info) error {
	if info.Kind == kind.Kind {
		return kind.Delete(ctx, info)
	}
	return record.Delete(ctx, info, stopGrace)
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
		Doctor:  doctor.Run,
		Prepare: func(ctx context.Context, p *kind.Provider, want cluster.Spec) error { return p.Prepare(ctx, want) },
		Clusters: Clusters{
			List: record.List, Left: kind.Left, Others: kind.Others, Delete: deleteCluster, Prune: kind.Prune, Supervise: record.Supervise,
			CleanUp: func(ctx context.Context, p *existing.Provider) ([]string, error) { return p.CleanUp(ctx, false) },
			Create: func(ctx context.Context, want cluster.Spec, argv []string) (record.Info, error) {
				return record.Create(ctx, want.Name, argv)
			},
		},
		Images: images.Find,
	}
}

// runner makes the runner over the catalogues, with clusters as the flags say.
func (a *app) runner(c *catalogs, f *clusterFlags, observer orchestrator.Observer) *orchestrator.Runner {
	return &orchestrator.Runner{
		Problems: c.problems, Faults: c.faults, Apps: c.apps, Providers: f.providers(a, c), Observer: observer, Log: a.logger(), Tool: tool(),
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
