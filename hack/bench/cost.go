package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// costRates are two rates, in requests per second: the difference of what they take is that of the requests, the rest is idle time.
var costRates = [2]float64{20, 100}

// measureCost finds the processor time of one request, and of a cluster with the application but without requests. Processor time,
// unlike latency, says something on a machine that does other things too.
func measureCost(ctx context.Context, b *bench) error {
	var taken [2]map[string]time.Duration
	for i, rate := range costRates {
		var err error
		if taken[i], err = costAt(ctx, rate); err != nil {
			return err
		}
	}
	seconds := costWindow.Seconds()
	requests := (costRates[1] - costRates[0]) * seconds
	var perRequest, idle time.Duration
	var notes, idleNotes []string
	for _, class := range classes(taken[1]) {
		each := time.Duration(float64(taken[1][class]-taken[0][class]) / requests)
		rest := time.Duration((float64(taken[0][class]) - float64(each)*costRates[0]*seconds) / seconds)
		perRequest, idle = perRequest+each, idle+rest
		notes = append(notes, fmt.Sprintf("%s %.2f", class, each.Seconds()*1e3))
		idleNotes = append(idleNotes, fmt.Sprintf("%s %.0f", class, rest.Seconds()*1e3))
	}
	return b.add(
		row{Name: "processor time of one request", Target: "-", Measured: fmt.Sprintf("%.2f ms", perRequest.Seconds()*1e3), Met: true, Note: strings.Join(notes, ", ")},
		row{Name: "processor time of a cluster with the application, without requests", Target: "-", Measured: fmt.Sprintf("%.2f cores", idle.Seconds()), Met: true,
			Note: "thousandths of a core: " + strings.Join(idleNotes, ", ")},
	)
}

// costWindow is long enough that what happens every few seconds is in it.
const costWindow = 20 * time.Second

// costAt is the processor time of each class of processes over costWindow.
func costAt(ctx context.Context, rate float64) (taken map[string]time.Duration, err error) {
	c, err := upWithApp(ctx, rate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Down(context.WithoutCancel(ctx))) }()
	if err := pause(ctx, 15*time.Second); err != nil {
		return nil, err
	}
	before, err := byClass()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, costWindow); err != nil {
		return nil, err
	}
	after, err := byClass()
	if err != nil {
		return nil, err
	}
	for class := range after {
		after[class] -= before[class]
	}
	return after, nil
}

// classes are the keys of taken, those that took most first.
func classes(taken map[string]time.Duration) []string {
	var out []string
	for class := range taken {
		out = append(out, class)
	}
	slices.SortFunc(out, func(a, b string) int { return int(taken[b] - taken[a]) })
	return out
}

// byClass sums up the processor time of our descendants: containers by their program, everything else by its name.
func byClass() (map[string]time.Duration, error) {
	table, err := proctree.Table()
	if err != nil {
		return nil, err
	}
	out := map[string]time.Duration{}
	for _, p := range proctree.Descendants(table, os.Getpid())[1:] {
		out[class(p)] += p.CPU
	}
	return out, nil
}

func class(p proctree.Process) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	if err != nil {
		return p.Name
	}
	args := strings.Split(string(bytes.TrimRight(data, "\x00")), "\x00")
	if len(args) > 1 && args[1] == "node" {
		return "nodes"
	}
	if len(args) < 3 || args[1] != "--container" {
		return p.Name
	}
	c, err := sandbox.LoadContainer(args[2])
	if err != nil {
		return p.Name
	}
	return c.Program
}
