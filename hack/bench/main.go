// Command bench measures what docs/benchmarks.md reports and prints it as one table. It measures whole clusters on this
// machine, one after the other; nothing else should run meanwhile.
//
//	go run ./hack/bench [-runs N] [-only ROW] [-json FILE]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	Name   string `json:"name"`
	Target string `json:"target"`
	// Measured is the figure with its unit; Note says what else there is to know, for example the single runs.
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
	Note     string `json:"note,omitempty"`
}

// measurement makes one or more rows.
type measurement struct {
	name string
	run  func(ctx context.Context, b *bench) ([]row, error)
}

// bench is what measurements share.
type bench struct {
	runs int
}

func measurements() []measurement {
	return []measurement{
		{"cluster", measureCluster},
		{"app", measureApp},
		{"cost", measureCost},
		{"throughput", measureThroughput},
		{"pods", measurePods},
		{"parallel", measureParallel},
		{"parallel-app", measureParallelApp},
		{"trials", measureTrials},
	}
}

func main() {
	runs := flag.Int("runs", 5, "how often to repeat what is reported as a median")
	only := flag.String("only", "", "measure only these, by comma: "+strings.Join(names(), ", "))
	out := flag.String("json", "", "write the rows to this file, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, &bench{runs: *runs}, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func names() []string {
	var out []string
	for _, m := range measurements() {
		out = append(out, m.name)
	}
	return out
}

func measure(ctx context.Context, b *bench, only, out string) error {
	var rows []row
	for _, m := range measurements() {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "measuring %s ...\n", m.name)
		got, err := m.run(ctx, b)
		if err != nil {
			// What follows the first line is a cluster's log: too long for a cell.
			reason, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Fprintf(os.Stderr, "%s failed: %v\n", m.name, err)
			got = append(got, row{Name: m.name, Measured: "failed", Note: reason})
		}
		fmt.Fprintf(os.Stderr, "measured %s in %s\n", m.name, time.Since(began).Round(time.Second))
		rows = append(rows, got...)
	}
	printTable(rows)
	if out == "" {
		return nil
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	return os.WriteFile(out, append(data, '\n'), 0o644)
}

// printTable writes the table as Markdown, ready for docs/benchmarks.md.
func printTable(rows []row) {
	fmt.Printf("%s, %d cores, %s, Linux %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), kernel())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| target\t| measured\t| met\t| note\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t|")
	for _, r := range rows {
		met := "yes"
		if !r.Met {
			met = "**no**"
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.Name, r.Target, r.Measured, met, r.Note)
	}
	_ = w.Flush()
}

func kernel() string {
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}

// median of a non-empty list; it is sorted afterwards.
func median(values []time.Duration) time.Duration {
	slices.Sort(values)
	return values[len(values)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func list(values []time.Duration) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%.1f", v.Seconds()))
	}
	return strings.Join(out, " ")
}
