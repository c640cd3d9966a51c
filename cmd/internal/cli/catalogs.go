package cli

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/gameday-bench/gameday/agents"
	_ "github.com/gameday-bench/gameday/agents/all" // Registers the agents.
	agentcatalog "github.com/gameday-bench/gameday/agents/catalog"
	"github.com/gameday-bench/gameday/cmd/internal/progress"
	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types" // Registers the types of faults.
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
)

// catalogs are the built-in catalogues and those of the private packs.
type catalogs struct {
	apps      *workloads.Catalog
	faults    *faults.Catalog
	problems  *problems.Catalog
	scenarios *scenarios.Catalog
}

// loadCatalogs reads everything and checks that names resolve. The error, of party usage, is one yamlx.ErrorList of all that
// is wrong in any file; what is right is in the catalogues.
func loadCatalogs(packs []string) (*catalogs, error) {
	c := &catalogs{}
	appSources, faultSources := []workloads.Source{workloads.Embedded()}, []faults.Source{faults.Embedded()}
	problemSources := []problems.Source{problems.Embedded()}
	for _, pack := range packs {
		appSources = append(appSources, workloads.Directory(pack))
		faultSources = append(faultSources, faults.Directory(pack))
		problemSources = append(problemSources, problems.Directory(pack))
	}
	var list yamlx.ErrorList
	var err error
	for _, pack := range packs {
		if info, err := os.Stat(pack); err != nil || !info.IsDir() {
			list = append(list, yamlx.Problem{File: pack, Message: "no such directory: --catalog wants that of a private pack"})
		}
		if err := agentcatalog.RegisterPack(pack); err != nil {
			addTo(&list, err)
		}
	}
	c.apps, err = workloads.LoadCatalog(appSources...)
	addTo(&list, err)
	c.faults, err = faults.LoadCatalog(faultSources...)
	addTo(&list, err)
	c.problems, err = problems.LoadCatalog(c.problemNames(), problemSources...)
	addTo(&list, err)
	for _, p := range c.problems.All() {
		_, err := c.truth(p)
		addTo(&list, err)
	}
	c.scenarios, err = scenarios.LoadCatalog(c.scenarioNames(), packs...)
	addTo(&list, err)
	return c, errs.With(errs.Usage, list.Err())
}

func addTo(list *yamlx.ErrorList, err error) {
	var inner yamlx.ErrorList
	if errors.As(err, &inner) {
		*list = append(*list, inner...)
		return
	}
	list.Add("catalogue", err)
}

func (c *catalogs) problemNames() problems.Names {
	return problems.Names{Apps: c.apps.IDs(), Profiles: func(app string) []string {
		if d, err := c.apps.Get(app); err == nil {
			return d.ProfileNames()
		}
		return nil
	}}
}

func (c *catalogs) scenarioNames() scenarios.Names {
	return scenarios.Names{Problems: c.problems.IDs(), Agents: agents.Names(), Providers: providerNames()}
}

// truth reads a problem's truth. The parameters of its faults are checked by making them.
func (c *catalogs) truth(p problems.Entry) (truth.Truth, error) {
	return truth.Load(truth.Names{
		Faults: c.faults.IDs(),
		Fault: func(ref truth.FaultRef) error {
			entry, err := c.faults.Get(ref.ID)
			if err == nil {
				_, err = entry.New(ref.Params)
			}
			return err
		},
		SLOs: func(app string) []string {
			d, err := c.apps.Get(app)
			if err != nil {
				return nil
			}
			names := []string{}
			for _, objective := range d.SLOs {
				names = append(names, objective.Name)
			}
			return names
		},
	}, p)
}

// catalogs makes the catalogues available to every command, read at most once and only when needed.
func (a *app) catalogs() (*catalogs, error) {
	a.once.Do(func() {
		a.loaded, a.loadErr = loadCatalogs(a.packs)
	})
	return a.loaded, a.loadErr
}

// path makes a path that a user gave absolute.
func (a *app) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.Cwd, p)
}

// app is one command line under way.
type app struct {
	State

	// Flags that every command has.
	packs      []string
	configFile string
	quiet      bool
	verbose    int

	// out is the directory of run directories, for commands that read them.
	out string
	// runName is --run; seed and reveal are flags of describe problem.
	runName string
	seed    int64
	reveal  bool

	// only is the filter of get clusters; isOnly says what it was given.
	only   string
	isOnly func() string

	// output is the command's -o, where it has one.
	output string

	// drawing is where progress is drawn while it is.
	drawing atomic.Pointer[progress.Renderer]

	once    sync.Once
	loaded  *catalogs
	loadErr error
}
