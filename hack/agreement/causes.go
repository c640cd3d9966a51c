package main

import (
	"fmt"
	"os"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// causeFile is a file of causes.
type causeFile struct {
	Causes []cause `yaml:"causes"`
}

// cause says why verdicts differ, or, with Missing, why a problem was not played somewhere. What it leaves open fits everything.
type cause struct {
	// Problem is the id of a problem.
	Problem string `yaml:"problem" check:"required"`
	Agent   string `yaml:"agent,omitempty"`
	Task    string `yaml:"task,omitempty"`
	// Twin is of the problem without its fault, where it is true, and of the one with it, where it is false.
	Twin *bool `yaml:"twin,omitempty"`
	// Verdicts are what the report shows, by kind of cluster: "1", "0", or a status.
	Verdicts map[string]string `yaml:"verdicts,omitempty"`
	// Missing is the kind of cluster on which the problem was not played.
	Missing string `yaml:"missing,omitempty"`
	// Cause is a sentence.
	Cause string `yaml:"cause" check:"required"`
}

// readCauses reads the files in order. The error, of party usage, lists everything that is wrong in any of them.
func readCauses(files []string) ([]cause, error) {
	var all []cause
	var list yamlx.ErrorList
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, errs.With(errs.Usage, fmt.Errorf("read causes: %w", err))
		}
		doc, err := yamlx.Parse(name, data)
		if err != nil {
			list.Add(name, err)
			continue
		}
		var f causeFile
		list.Add(name, doc.Decode(&f))
		for i, c := range f.Causes {
			if c.Missing != "" && (c.Agent != "" || c.Task != "" || c.Twin != nil || c.Verdicts != nil) {
				list = append(list, doc.Problem(yamlx.Index("causes", i), "a problem that was not played has no verdicts: leave problem, missing and cause"))
			}
		}
		all = append(all, f.Causes...)
	}
	return all, errs.With(errs.Usage, list.Err())
}

// fits reports whether a cause is one of a difference. names are the kinds of clusters of the two sides.
func (c cause) fits(d difference, names [2]string) bool {
	for i, name := range names {
		if want, given := c.Verdicts[name]; given && want != d.shown[i] {
			return false
		}
	}
	return c.Missing == "" && c.Problem == d.Problem && (c.Agent == "" || c.Agent == d.Agent) && (c.Task == "" || c.Task == d.task) &&
		(c.Twin == nil || *c.Twin == d.Twin)
}
