package results

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
)

// RecordImages adds to run.json which container images the pods of the run are made from: digests of manifests by references.
// That a reference was another image in an earlier trial of the run is an error of party infra, and changes nothing: the two
// trials would not be the same run. It is safe for concurrent use.
func (s *Store) RecordImages(digests map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.run.Images) // Copies of the run that others hold share the map.
	if all == nil {
		all = map[string]string{}
	}
	var changed []string
	for _, ref := range slices.Sorted(maps.Keys(digests)) {
		if was, known := all[ref]; known && was != digests[ref] {
			changed = append(changed, fmt.Sprintf("%s was %s, is %s", ref, was, digests[ref]))
		}
		all[ref] = digests[ref]
	}
	switch {
	case len(changed) > 0:
		return errs.Hint(errs.Newf(errs.Infra, "record images: they are not those that the run began with: %s", strings.Join(changed, "; ")),
			"use the build that the run was started with, or start a new run")
	case len(all) == len(s.run.Images):
		return nil
	}
	s.run.Images = all
	return s.save()
}
