package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// stopGrace is how long the owner of a cluster may take to take it down before it is killed.
const stopGrace = 3 * time.Minute

// Left returns what killed processes of this owner left in the engines of this machine: clusters that have containers and no record. They
// are sorted by name, and of status stale. The error, of party infra, is for engines that do not answer; what others have is returned all
// the same. That no engine is installed is no error.
func Left(ctx context.Context) ([]record.Info, error) {
	var found []record.Info
	var all []error
	for _, e := range installed() {
		clusters, err := e.clusters(ctx)
		if err != nil {
			all = append(all, e.explain(fmt.Errorf("look for containers: %w", err)))
			continue
		}
		for _, full := range clusters {
			if name, ours := strings.CutPrefix(full, ownPrefix()); ours {
				found = append(found, record.Info{Name: name, Kind: Kind, Engine: e.name, Status: record.Stale})
			}
		}
	}
	// A record is there before the first container: read in this order, one that is being made is never taken for what was left.
	known, err := record.List()
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(left record.Info) bool {
		// The directory of a process that was killed goes file by file: without the file that says what it is, it stands for no containers.
		return slices.ContainsFunc(known, func(c record.Info) bool { return c.Name == left.Name && c.Kind == Kind })
	})
	slices.SortFunc(found, func(a, b record.Info) int { return strings.Compare(a.Name, b.Name) })
	return found, errors.Join(all...)
}

// Others are the clusters of other owners, as kind knows them: of other users of an engine, or of another runtime directory. They are left
// alone. Engines that do not answer have none.
func Others(ctx context.Context) []string {
	var out []string
	for _, e := range installed() {
		found, err := e.clusters(ctx)
		if err != nil {
			continue
		}
		for _, full := range found {
			if strings.HasPrefix(full, prefix) && !strings.HasPrefix(full, ownPrefix()) {
				out = append(out, full)
			}
		}
	}
	return out
}

// Delete ends a cluster of this package and removes its containers, its network where it was the last one, and its record. The cluster of a
// run that goes on is refused, with party usage; that containers are left is an error of party infra.
func Delete(ctx context.Context, info record.Info) error {
	if err := record.Delete(ctx, info, stopGrace); err != nil {
		return err
	}
	e := engine{info.Engine}
	// Its owner may have been killed while it made containers: what it asked the engine for appears all the same.
	err := e.remove(ctx, ownPrefix()+info.Name, true)
	if err == nil {
		err = e.pruneNetwork(ctx)
	}
	if err != nil {
		return e.explain(fmt.Errorf("delete cluster %s: %w", info.Name, err))
	}
	return nil
}

// Prune removes the networks of this owner that no cluster uses, in every engine that answers.
func Prune(ctx context.Context) error {
	var all []error
	for _, e := range installed() {
		if _, err := e.clusters(ctx); err != nil {
			continue // Left has said so.
		}
		if err := e.pruneNetwork(ctx); err != nil {
			all = append(all, errs.With(errs.Infra, fmt.Errorf("remove network: %w", err)))
		}
	}
	return errors.Join(all...)
}
