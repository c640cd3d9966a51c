package orchestrator

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/orchestrator/podexec"
	"github.com/gameday-bench/gameday/workloads"
)

// dataBaseline holds what the application's invariants said before the fault, by name.
type dataBaseline map[string]string

// readData runs the commands of all invariants.
func (e *environment) readData(ctx context.Context) (dataBaseline, error) {
	out := make([]string, len(e.app.Invariants))
	group, ctx := errgroup.WithContext(ctx)
	for i, inv := range e.app.Invariants {
		group.Go(func() error {
			var err error
			if out[i], err = e.runInvariant(ctx, inv); err != nil {
				return err
			}
			held, detail := compare(inv, out[i], out[i])
			if !held {
				return fmt.Errorf("invariant %s does not hold before the fault: %s", inv.Name, detail)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	baseline := dataBaseline{}
	for i, inv := range e.app.Invariants {
		baseline[inv.Name] = out[i]
	}
	return baseline, nil
}

// invariantTimeout bounds one command: a store that does not answer has not kept its data within reach.
const invariantTimeout = 10 * time.Second

func (e *environment) runInvariant(ctx context.Context, inv workloads.Invariant) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, invariantTimeout)
	defer cancel()
	target := podexec.Target{Namespace: e.draw["namespace"], Workload: inv.Workload, Container: inv.Container}
	out, err := podexec.Run(ctx, e.cluster.RESTConfig(), e.kubernetes, target, inv.Command)
	if err != nil {
		return "", fmt.Errorf("read invariant %s: %w", inv.Name, err)
	}
	return out, nil
}

// dataInvariants holds the application's data against the baseline. What cannot be read has not held.
func (e *environment) dataInvariants(ctx context.Context) []evaluator.InvariantEvidence {
	out := make([]evaluator.InvariantEvidence, len(e.app.Invariants))
	var group errgroup.Group
	for i, inv := range e.app.Invariants {
		group.Go(func() error {
			out[i] = evaluator.InvariantEvidence{Name: "data: " + inv.Name}
			now, err := e.runInvariant(ctx, inv)
			if err != nil {
				out[i].Detail = err.Error()
				return nil //nolint:nilerr // The failure is the evidence.
			}
			out[i].Held, out[i].Detail = compare(inv, e.data[inv.Name], now)
			return nil
		})
	}
	_ = group.Wait() // No function returns an error.
	return out
}

// compare compares an invariant's output now with its output before.
func compare(inv workloads.Invariant, before, now string) (held bool, detail string) {
	before, now = strings.TrimSpace(before), strings.TrimSpace(now)
	switch inv.Expect {
	case "empty":
		if now != "" {
			return false, "want no output, got " + snippet(now)
		}
	case "unchanged":
		if now != before {
			return false, fmt.Sprintf("was %s, is %s", snippet(before), snippet(now))
		}
	case "nondecreasing":
		was, is, err := integers(before, now)
		if err != nil {
			return false, err.Error()
		}
		for i := range was {
			if i >= len(is) || is[i] < was[i] {
				return false, fmt.Sprintf("was %s, is %s", snippet(before), snippet(now))
			}
		}
	default:
		return false, fmt.Sprintf("unknown expectation %q", inv.Expect)
	}
	return true, ""
}

func integers(texts ...string) (a, b []int64, err error) {
	out := make([][]int64, len(texts))
	for i, text := range texts {
		for _, field := range strings.Fields(text) {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("want integers, got %s", snippet(text))
			}
			out[i] = append(out[i], n)
		}
	}
	return out[0], out[1], nil
}

func snippet(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
