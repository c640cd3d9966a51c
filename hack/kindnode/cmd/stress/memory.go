package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// chunk is how much memory is taken at a time.
const chunk = 4 << 20

// hold takes total bytes within the time grow, touches every page of them, and keeps them until ctx ends.
func hold(ctx context.Context, total int64, grow time.Duration, after func(time.Duration) <-chan time.Time) error {
	count := (total + chunk - 1) / chunk
	var taken [][]byte
	defer func() {
		for _, c := range taken {
			_ = syscall.Munmap(c) // The process ends.
		}
	}()
	for i := range count {
		c, err := syscall.Mmap(-1, 0, int(min(chunk, total-i*chunk)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			return fmt.Errorf("take memory: %w", err)
		}
		taken = append(taken, c)
		for at := 0; at < len(c); at += os.Getpagesize() {
			c[at] = 1
		}
		if grow > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-after(grow / time.Duration(count)):
			}
		}
	}
	<-ctx.Done()
	return nil
}

// units are powers of two, also those without an i, as the tool that this stands in for has them.
var units = map[string]int64{"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// size reads an amount of memory in bytes: a number with a unit, such as 64, 64B, 64KB, 64MiB or 1.5G, or percent of total.
func size(text string, total int64) (int64, error) {
	number := strings.TrimRight(text, "%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := strings.ToLower(text[len(number):])
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value < 0 || math.IsInf(value, 0) {
		return 0, fmt.Errorf("%q is no amount of memory", text)
	}
	if unit == "%" {
		return int64(value * float64(total) / full), nil
	}
	if unit != "b" {
		unit = strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")
	}
	factor, known := units[unit]
	if !known {
		return 0, fmt.Errorf("%q is no amount of memory", text)
	}
	return int64(value * float64(factor)), nil
}

// machineMemory is all memory of the machine, in bytes.
func machineMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read the machine's memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kilobytes int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("read the machine's memory: no MemTotal in %s", f.Name())
}
