package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/scenarios"
)

// scenario turns the arguments of run into a scenario: its id, a file, - for standard input, or problems by id.
func (a *app) scenario(c *catalogs, args []string) (scenarios.Entry, error) {
	if len(args) == 0 {
		return scenarios.Entry{}, errs.Hint(errs.Newf(errs.Usage, "nothing to run"),
			"name a scenario (%s) or problems (see gameday get problems)", list(c.scenarios.IDs()))
	}
	first := args[0]
	if len(args) == 1 && (first == "-" || strings.ContainsAny(first, "/\\") || strings.HasSuffix(first, ".yaml") || strings.HasSuffix(first, ".yml")) {
		return a.scenarioFile(c, first)
	}
	if len(args) == 1 && slices.Contains(c.scenarios.IDs(), first) {
		return c.scenarios.Get(first)
	}
	entry := scenarios.Entry{}
	entry.ID = "adhoc"
	for _, id := range args {
		if !slices.Contains(c.problems.IDs(), id) {
			known, what := append(c.problems.IDs(), c.scenarios.IDs()...), "scenario or problem"
			if len(args) > 1 {
				known, what = c.problems.IDs(), "problem"
			}
			return scenarios.Entry{}, unknown(what, id, known)
		}
		if slices.Contains(entry.Problems, id) {
			return scenarios.Entry{}, errs.Newf(errs.Usage, "problem %q is named twice", id)
		}
		entry.Problems = append(entry.Problems, id)
	}
	if len(args) == 1 {
		entry.ID = first
	}
	return entry, nil
}

func (a *app) scenarioFile(c *catalogs, file string) (scenarios.Entry, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(a.Stdin)
	} else {
		data, err = os.ReadFile(a.path(file))
	}
	if err != nil {
		return scenarios.Entry{}, errs.With(errs.Usage, fmt.Errorf("read scenario: %w", err))
	}
	entry, err := scenarios.Read(c.scenarioNames(), file, data)
	return entry, errs.With(errs.Usage, err)
}

// infraGate is --max-infra-errors.
type infraGate struct {
	count int
	share float64
}

func (g infraGate) exceeded(n, of int) bool {
	if g.share > 0 {
		return of > 0 && float64(n)/float64(of) > g.share
	}
	return n > g.count
}

// check validates flags whose values cobra cannot.
func (f *runFlags) check() (infraGate, error) {
	fail := func(format string, args ...any) (infraGate, error) {
		return infraGate{}, &flagError{errs.Newf(errs.Usage, format, args...)}
	}
	switch {
	case f.attempts < 1:
		return fail("invalid --attempts %d: want 1 or more", f.attempts)
	case f.concurrency < 1:
		return fail("invalid --concurrency %d: want 1 or more", f.concurrency)
	case f.infraRetries < 0:
		return fail("invalid --infra-retries %d: want 0 or more", f.infraRetries)
	case f.failUnder < 0 || f.failUnder > 1:
		return fail("invalid --fail-under %g: want 0 to 1", f.failUnder)
	case !(f.multiplier >= 0.1 && f.multiplier <= 100):
		return fail("invalid --timeout-multiplier %g: want 0.1 to 100", f.multiplier)
	}
	text, percent := strings.CutSuffix(f.maxInfra, "%")
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || n < 0 || percent && n > 100 || !percent && n != float64(int(n)):
		return fail("invalid --max-infra-errors %q: want a number such as 2 or a percentage such as 10%%", f.maxInfra)
	case percent:
		return infraGate{share: n / 100}, nil
	}
	return infraGate{count: int(n)}, nil
}

// printPlan lists the trials that a run would have.
func (a *app) printPlan(plan scenarios.Plan) error {
	type item struct {
		Trial   string `json:"trial"`
		Problem string `json:"problem"`
		Agent   string `json:"agent"`
		Attempt int    `json:"attempt"`
		Twin    bool   `json:"twin"`
		Seed    int64  `json:"seed"`
	}
	l := render.List{Columns: []render.Column{{Name: "trial"}, {Name: "problem"}, {Name: "agent"}, {Name: "attempt"}, {Name: "twin"}, {Name: "seed"}}}
	items := []item{}
	for _, t := range plan.Trials() {
		items = append(items, item{t.String(), t.Problem, t.Agent, t.Attempt, t.Twin, t.Seed})
		l.Rows = append(l.Rows, []string{
			t.String(), t.Problem, t.Agent, strconv.Itoa(t.Attempt), strconv.FormatBool(t.Twin), strconv.FormatInt(t.Seed, 10),
		})
	}
	l.Items = items
	fmt.Fprintf(a.notes(), "%s; nothing was started\n", plural(len(items), "trial"))
	return a.printList(l, false)
}
