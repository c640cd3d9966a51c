// Command kill proves that a killed process leaves nothing behind and loses nothing: it plays real runs, kills gameday itself,
// the control plane or a node with SIGKILL at random moments, and looks at what is left and at what the run says.
//
//	go run ./hack/kill [-seed N] [-rounds N] [-only VICTIM]
//
// The moments are drawn over the whole length of a run, one in each part of as many equal parts as there are rounds. The
// length is that of an unharmed run, which comes first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the moments and of the choice of nodes")
	rounds := flag.Int("rounds", 5, "how often to kill each victim")
	only := flag.String("only", "", "kill only these, by comma: "+strings.Join(victims(), ", "))
	agents := flag.String("agents", "nop,oracle", "agents of the run, by comma")
	attempts := flag.Int("attempts", 1, "trials of each agent")
	length := flag.Duration("length", 0, "how long a run takes (default: measured with one that nobody kills)")
	keep := flag.String("keep", "", "keep the directories of the runs below this one (default: a temporary directory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := prove(ctx, options{*seed, *rounds, *only, *keep, strings.Split(*agents, ","), *attempts, *length}); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type options struct {
	seed       uint64
	rounds     int
	only, keep string
	agents     []string
	attempts   int
	length     time.Duration
}

// prove plays all rounds, prints the table, and fails if any round did.
func prove(ctx context.Context, o options) error {
	if o.keep == "" {
		dir, err := os.MkdirTemp("", "gk-") // Short: unix sockets are below it.
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.keep = dir
	}
	arena, err := newArena(o.keep, o.agents, o.attempts)
	if err != nil {
		return err
	}
	if o.length == 0 {
		fmt.Fprintln(os.Stderr, "playing a run that nobody kills ...")
		if o.length, err = arena.unharmed(ctx); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "it took %s\n", o.length.Round(100*time.Millisecond))
	}
	var reports []report
	for i := range o.rounds {
		for _, victim := range victims() {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), victim) {
				continue
			}
			// A stream of its own for each victim and round: -only draws the same moments.
			random := rand.New(rand.NewPCG(o.seed, uint64(len(victim)*1000+i)))
			part := o.length / time.Duration(o.rounds)
			moment := time.Duration(i)*part + time.Duration(random.Int64N(int64(part)))
			r := arena.round(ctx, fmt.Sprintf("%s-%d", victim, i+1), killing{victim: victim, node: 1 + random.IntN(3), after: moment})
			fmt.Fprintln(os.Stderr, r.line())
			reports = append(reports, r)
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), table(reports, o.seed))
			}
		}
	}
	return table(reports, o.seed)
}

func table(reports []report, seed uint64) error {
	fmt.Printf("%s, seed %d, load average %s\n\n", time.Now().UTC().Format(time.DateOnly), seed, load())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| victim\t| killed after\t| in\t| finished before\t| intact after\t| processes, sockets, directories, ports left\t| exit code\t| the run said\t| then\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	failed := 0
	for _, r := range reports {
		if r.err != nil {
			failed++
		}
		fmt.Fprintln(w, r.line())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println()
	for _, r := range reports {
		if r.err != nil {
			fmt.Printf("%s failed: %v\n", r.name, r.err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rounds failed", failed, len(reports))
	}
	fmt.Printf("%d of %d rounds held\n", len(reports), len(reports))
	return nil
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}
