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
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gameday-bench/gameday/hack/internal/kill"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the moments and of the choice of nodes")
	rounds := flag.Int("rounds", 5, "how often to kill each victim")
	only := flag.String("only", "", "kill only these, by comma: "+strings.Join(kill.Victims(), ", "))
	agents := flag.String("agents", "nop,oracle", "agents of the run, by comma")
	attempts := flag.Int("attempts", 1, "trials of each agent")
	length := flag.Duration("length", 0, "how long a run takes (default: measured with one that nobody kills)")
	keep := flag.String("keep", "", "keep the directories of the runs below this one (default: a temporary directory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := kill.Options{
		Seed: *seed, Rounds: *rounds, Dir: *keep, Agents: strings.Split(*agents, ","), Attempts: *attempts, Length: *length,
		Say: func(text string) { fmt.Fprintln(os.Stderr, text) },
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	reports, err := kill.Prove(ctx, o)
	if len(reports) > 0 {
		err = errors.Join(err, table(reports, *seed))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// table prints all rounds, and fails if any did.
func table(reports []kill.Report, seed uint64) error {
	fmt.Printf("%s, seed %d, load average %s\n\n", time.Now().UTC().Format(time.DateOnly), seed, load())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| victim\t| killed after\t| in\t| finished before\t| intact after\t| processes, sockets, directories, ports left\t| exit code\t| the run said\t| then\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	failed := 0
	for _, r := range reports {
		if r.Err != nil {
			failed++
		}
		fmt.Fprintln(w, r.Line())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println()
	for _, r := range reports {
		if r.Err != nil {
			fmt.Printf("%s failed: %v\n", r.Name, r.Err)
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
