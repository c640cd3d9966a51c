package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

// findRun reads a run by its directory or by its id below --out; "" is the last one that was started.
func (a *app) findRun(name string) (*results.Data, error) {
	if name != "" {
		for _, dir := range []string{a.path(name), filepath.Join(a.path(a.out), name)} {
			if _, err := os.Stat(filepath.Join(dir, results.RunFile)); err == nil {
				return results.Load(dir)
			} else if !errors.Is(err, os.ErrNotExist) {
				return nil, errs.With(errs.Usage, err)
			}
		}
	}
	runs, err := results.List(a.path(a.out))
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	if name == "" {
		if len(runs) == 0 {
			return nil, errs.Hint(errs.Newf(errs.Usage, "find the last run: there are no runs in %s", a.out), "name a run directory, or set --out")
		}
		return runs[len(runs)-1], nil
	}
	var ids []string
	for _, d := range runs {
		ids = append(ids, d.Run.ID)
	}
	slices.Sort(ids)
	return nil, unknown("run", name, ids)
}
