package problems

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Names are what a problem may refer to. The catalogues of apps are not this package's: its caller hands in the names.
type Names struct {
	// Apps are the ids of the applications; nil skips the check.
	Apps []string
	// Profiles returns the load profiles of an application; nil, or a nil answer, skips the check.
	Profiles func(app string) []string
}

var (
	parameterPattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]*$`)
	namespacePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// validate checks what the schema cannot say. dir is the name of the directory that the file is in.
func (p Problem) validate(doc *yamlx.Document, dir string, names Names) yamlx.ErrorList {
	var list yamlx.ErrorList
	fail := func(path, format string, args ...any) { list = append(list, doc.Problem(path, format, args...)) }
	switch {
	case p.ID == "":
	case !catalog.ValidID(p.ID):
		fail("id", "%q is not an id: want %s", p.ID, catalog.IDRule)
	case p.ID != dir:
		fail("id", "is %q, but the directory is called %q", p.ID, dir)
	}
	if names.Apps != nil && p.App != "" {
		if !slices.Contains(names.Apps, p.App) {
			err := nearest.Unknown("app", p.App, names.Apps)
			fail("app", "%v; %s", err, err.Hint())
		} else if names.Profiles != nil {
			if known := names.Profiles(p.App); known != nil && p.Load.Profile != "" && !slices.Contains(known, p.Load.Profile) {
				err := nearest.Unknown("load profile", p.Load.Profile, known)
				fail("load.profile", "%v of app %q; %s", err, p.App, err.Hint())
			}
		}
	}
	for i, task := range p.Tasks {
		if slices.Contains(p.Tasks[:i], task) {
			fail(yamlx.Index("tasks", i), "%q is listed twice", task)
		}
	}
	p.validateParameters(fail)
	if _, err := p.Draw(0).Fill(p.Prompt); err != nil {
		fail("prompt", "%v", err)
	}
	return list
}

func (p Problem) validateParameters(fail func(path, format string, args ...any)) {
	for name, values := range p.Parameters {
		path := yamlx.Child("parameters", name)
		p.validateName(name, path, fail)
		if len(values) == 0 {
			fail(path, "has no values")
		}
		for i, value := range values {
			p.validateValue(name, value, yamlx.Index(path, i), fail)
			if slices.Contains(values[:i], value) {
				fail(yamlx.Index(path, i), "%q is listed twice", value)
			}
		}
	}
	for i, variant := range p.Variants {
		path := yamlx.Index("variants", i)
		for name, value := range variant {
			at := yamlx.Child(path, name)
			p.validateName(name, at, fail)
			p.validateValue(name, value, at, fail)
			if _, twice := p.Parameters[name]; twice {
				fail(at, "is in parameters, too")
			}
			if _, ok := p.Variants[0][name]; !ok {
				fail(at, "is not in variants[0]: every variant sets the same parameters")
			}
		}
		for name := range p.Variants[0] {
			if _, ok := variant[name]; !ok {
				fail(path, "does not set %q, which variants[0] does", name)
			}
		}
	}
}

func (Problem) validateName(name, path string, fail func(path, format string, args ...any)) {
	if !parameterPattern.MatchString(name) {
		fail(path, "%q is not a parameter name: want letters, digits, - and _, starting with a letter", name)
	}
}

func (Problem) validateValue(name, value, path string, fail func(path, format string, args ...any)) {
	if name == "namespace" && !namespacePattern.MatchString(value) {
		fail(path, "%q is not a namespace name", value)
	}
	if strings.Contains(value, "${") {
		fail(path, "a value cannot hold a ${parameter}")
	}
}
