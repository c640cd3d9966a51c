package truth

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/problems"
)

// File is the name of a problem's truth in its directory.
const File = "truth.yaml"

// Names are what a truth may refer to. The catalogue of faults is not this package's: its caller hands in the names.
type Names struct {
	// Faults are the ids of the faults; nil skips the check.
	Faults []string
	// Fault checks the parameters of a fault, filled in for one draw; nil skips the check.
	Fault func(FaultRef) error
	// SLOs returns the names of an application's objectives; nil, or a nil answer, skips the check.
	SLOs func(app string) []string
}

// Load reads and checks the truth of one problem. The error is a yamlx.ErrorList of everything that is wrong, of party
// usage. ${parameters} are checked against the problem's, and left in place: see Resolve.
func Load(names Names, problem problems.Entry) (Truth, error) {
	file := path.Join(filepath.ToSlash(problem.Prefix), File)
	data, err := fs.ReadFile(problem.Dir, File)
	if err != nil {
		return Truth{}, errs.With(errs.Usage, yamlx.ErrorList{{File: file, Message: err.Error()}})
	}
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return Truth{}, errs.With(errs.Usage, err)
	}
	var t Truth
	var list yamlx.ErrorList
	list.Add(file, doc.Decode(&t))
	draw := t.withRuntime(problem.Draw(0))
	for at, text := range doc.Strings() {
		if _, err := draw.Fill(text); err != nil {
			list = append(list, doc.Problem(at, "%v", err))
		}
	}
	taxonomy, err := problems.LoadTaxonomy()
	list.Add(file, err)
	c := &checker{doc: doc, names: names, taxonomy: taxonomy, problem: problem.Problem}
	c.check(t)
	list = append(list, c.problems...)
	return t, errs.With(errs.Usage, list.Err())
}

type checker struct {
	doc      *yamlx.Document
	names    Names
	taxonomy *problems.Taxonomy
	problem  problems.Problem
	problems yamlx.ErrorList
}

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, c.doc.Problem(path, format, args...))
}

func (c *checker) check(t Truth) {
	for name := range t.Runtime {
		if _, twice := c.problem.Draw(0)[name]; twice {
			c.fail(yamlx.Child("runtime", name), "is a parameter of the problem, too")
		}
	}
	for i, fault := range t.Faults {
		if c.names.Faults != nil && fault.ID != "" && !slices.Contains(c.names.Faults, fault.ID) {
			err := nearest.Unknown("fault", fault.ID, c.names.Faults)
			c.fail(yamlx.Index("faults", i)+".id", "%v; %s", err, err.Hint())
		}
	}
	c.symptom(t.Symptom)
	c.draws(t)
	for i, component := range t.Components {
		at := yamlx.Index("components", i)
		c.component(at, component.Component)
		for j, alias := range component.Aliases {
			c.component(yamlx.Index(at+".aliases", j), alias)
		}
	}
	c.rootCause(t.RootCause)
	c.steps("repair", t.Repair)
	for i, hack := range t.Hacks {
		at := yamlx.Index("hacks", i)
		c.steps(at+".steps", hack.Steps)
		if slices.ContainsFunc(t.Hacks[:i], func(h Hack) bool { return h.Name == hack.Name }) {
			c.fail(at+".name", "%q is the name of another hack", hack.Name)
		}
	}
	if !slices.Contains(c.problem.Tasks, problems.Mitigation) {
		return
	}
	if len(t.Repair) == 0 {
		c.fail("repair", "is required: the problem asks for mitigation")
	}
	if len(t.Hacks) == 0 {
		c.fail("hacks", "is required: the problem asks for mitigation, so name what must not pass as one")
	}
}

// draws checks what depends on the draw, for every value that can be drawn; each mistake is said once.
func (c *checker) draws(t Truth) {
	said := map[string]bool{}
	once := func(at string, draw problems.Draw, format string, args ...any) {
		if !said[at] {
			said[at] = true
			c.fail(at, "%s (drawn: %s)", fmt.Sprintf(format, args...), draw)
		}
	}
	for _, draw := range c.problem.Samples() {
		filled, err := t.Resolve(draw)
		if err != nil {
			return // Unknown parameters are reported where they are.
		}
		for i, fault := range filled.Faults {
			if c.names.Fault == nil || !slices.Contains(c.names.Faults, fault.ID) {
				continue
			}
			if err := c.names.Fault(fault); err != nil {
				once(yamlx.Index("faults", i)+".params", draw, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		}
		if c.names.SLOs == nil {
			continue
		}
		known := c.names.SLOs(c.problem.App)
		for i, signal := range filled.Symptom.Any {
			if known != nil && signal.SLO != "" && !slices.Contains(known, signal.SLO) {
				err := nearest.Unknown("objective", signal.SLO, known)
				once(yamlx.Index("symptom.any", i)+".slo", draw, "%v; %s", err, err.Hint())
			}
		}
	}
}

func (c *checker) symptom(s Symptom) {
	switch {
	case s.Silent == "" && len(s.Any) == 0:
		c.fail("symptom", "want any (a list of signals) or silent (why nothing shows)")
	case s.Silent != "" && len(s.Any) > 0:
		c.fail("symptom.silent", "a silent problem has no signals: remove silent or any")
	case len(s.Any) > 0 && s.Within <= 0:
		c.fail("symptom.within", "want the time within which the symptom shows, for example 30s")
	}
	for i, signal := range s.Any {
		at := yamlx.Index("symptom.any", i)
		set := 0
		for _, text := range []string{signal.Alert, signal.Query, signal.SLO} {
			if text != "" {
				set++
			}
		}
		if set != 1 {
			c.fail(at, "want exactly one of alert, query and slo, got %d", set)
		}
		if signal.Alert == "" && len(signal.Labels) > 0 {
			c.fail(at+".labels", "labels go with alert only")
		}
	}
}

func (c *checker) component(at string, component agents.Component) {
	switch kinds := c.taxonomy.Kinds(); {
	case component.Kind == "":
		c.fail(at+".kind", "required field is missing")
	case !slices.Contains(kinds, component.Kind):
		err := nearest.Unknown("component kind", component.Kind, kinds)
		c.fail(at+".kind", "%v; %s", err, err.Hint())
	}
	if component.Name == "" {
		c.fail(at+".name", "required field is missing")
	}
}

func (c *checker) rootCause(r RootCause) {
	c.component("rootCause.component", r.Component)
	for i, also := range r.AlsoComponents {
		c.component(yamlx.Index("rootCause.alsoComponents", i), also)
	}
	c.mechanism("rootCause.mechanism", r.Mechanism)
	for i, also := range r.AlsoMechanisms {
		c.mechanism(yamlx.Index("rootCause.alsoMechanisms", i), also)
	}
}

func (c *checker) mechanism(at, mechanism string) {
	known := c.taxonomy.MechanismIDs()
	if mechanism == "" || slices.Contains(known, mechanism) {
		return
	}
	err := nearest.Unknown("mechanism", mechanism, known)
	c.fail(at, "%v; %s", err, err.Hint())
}

func (c *checker) steps(at string, steps []Step) {
	for i, step := range steps {
		here := yamlx.Index(at, i)
		if (step.Kubectl != "") == (step.Wait != 0) {
			c.fail(here, "want exactly one of kubectl and wait")
		}
		if step.Stdin != "" && step.Kubectl == "" {
			c.fail(here+".stdin", "stdin goes with kubectl only")
		}
	}
}

// String names a hack in messages.
func (h Hack) String() string { return fmt.Sprintf("hack %q", h.Name) }
