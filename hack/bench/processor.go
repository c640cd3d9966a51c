package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// processor is what all cores of the machine have done so far; what processes did that have ended is in it.
type processor struct {
	// busy is work, stolen is time in which the host gave a core to other guests, all is both and idle time.
	busy, stolen, all time.Duration
}

// readProcessor reads the counters of this moment.
func readProcessor() (processor, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processor{}, fmt.Errorf("read processor times: %w", err)
	}
	return parseProcessor(string(data))
}

// parseProcessor reads the first line of /proc/stat (proc(5)): cpu user nice system idle iowait irq softirq steal ..., in
// hundredths of a second. What comes after steal is in user and nice, too.
func parseProcessor(stat string) (processor, error) {
	first, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return processor{}, fmt.Errorf("read processor times: the first line is %q", first)
	}
	var p processor
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return processor{}, fmt.Errorf("read processor times: %w", err)
		}
		took := time.Duration(n) * 10 * time.Millisecond
		p.all += took
		switch i {
		case 3, 4:
		case 7:
			p.stolen += took
		default:
			p.busy += took
		}
	}
	return p, nil
}

// since is what was done after an earlier moment.
func (p processor) since(before processor) processor {
	return processor{p.busy - before.busy, p.stolen - before.stolen, p.all - before.all}
}

// steal is the stolen share of the cores' time, for a note.
func (p processor) steal() string {
	if p.all <= 0 {
		return "steal unknown"
	}
	return fmt.Sprintf("steal %.1f %%", 100*p.stolen.Seconds()/p.all.Seconds())
}
