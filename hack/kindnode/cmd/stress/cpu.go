package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// full is a load that leaves nothing, in percent.
const full = 100

// period is the time over which a load is true: short, so that a program beside it sees a slow processor and not one that stops.
const period = 10 * time.Millisecond

// burn keeps workers processors busy for load percent of the time, until ctx ends; all of them where workers is 0.
func burn(ctx context.Context, workers, load int) {
	if workers == 0 {
		workers = runtime.NumCPU()
	}
	// There may be more workers than processors: they compete with what is beside them.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), workers+1))
	busy := period * time.Duration(load) / full
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				for end := time.Now().Add(busy); time.Now().Before(end); {
					spin()
				}
				idle(ctx, period-busy)
			}
		})
	}
	all.Wait()
}

// spin is a little work.
func spin() {
	x := 1.0
	for range 1000 {
		x = x*1.0000001 + 1
	}
	sink(x)
}

//go:noinline
func sink(float64) {}

// idle waits for d, or until ctx ends.
func idle(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
