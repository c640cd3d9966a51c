// Package processor reads how busy this machine's cores are.
package processor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Times is what all cores of the machine have done so far, together; what processes did that have ended is in it.
type Times struct {
	// Busy is work, Stolen is time in which the host gave a core to other guests, All is both and idle time.
	Busy, Stolen, All time.Duration
}

// Read reads the counters of this moment. It fails where there is no /proc/stat.
func Read() (Times, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Times{}, fmt.Errorf("read processor times: %w", err)
	}
	return Parse(string(data))
}

// Parse reads the first line of /proc/stat (proc(5)): cpu user nice system idle iowait irq softirq steal ..., in hundredths of
// a second. What comes after steal is in user and nice, too.
func Parse(stat string) (Times, error) {
	first, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return Times{}, fmt.Errorf("read processor times: the first line is %q", first)
	}
	var t Times
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return Times{}, fmt.Errorf("read processor times: %w", err)
		}
		took := time.Duration(n) * 10 * time.Millisecond
		t.All += took
		switch i {
		case 3, 4:
		case 7:
			t.Stolen += took
		default:
			t.Busy += took
		}
	}
	return t, nil
}

// Since is what was done after an earlier moment.
func (t Times) Since(before Times) Times {
	return Times{t.Busy - before.Busy, t.Stolen - before.Stolen, t.All - before.All}
}

// Spare is the share of the time in which cores had nothing to do, from 0 to 1. Over no time it is 1.
func (t Times) Spare() float64 {
	if t.All <= 0 {
		return 1
	}
	return max(0, 1-(t.Busy+t.Stolen).Seconds()/t.All.Seconds())
}

// Steal is the stolen share of the cores' time, from 0 to 1; ok is false over no time.
func (t Times) Steal() (share float64, ok bool) {
	if t.All <= 0 {
		return 0, false
	}
	return t.Stolen.Seconds() / t.All.Seconds(), true
}
