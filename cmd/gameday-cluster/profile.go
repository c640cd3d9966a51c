package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// profileDir names the directory that profiles go to; unset means none. profileFor says how long the CPU is profiled,
// as a Go duration; unset means until the end.
const (
	profileDir = "GAMEDAY_DEBUG_PROFILE"
	profileFor = "GAMEDAY_DEBUG_PROFILE_FOR"
)

// profile starts profiling if the environment asks for it and returns what writes the profiles.
func profile() (stop func(), err error) {
	dir := os.Getenv(profileDir)
	if dir == "" {
		return func() {}, nil
	}
	name := func(kind string) string { return filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", kind, os.Getpid())) }
	cpu, err := os.Create(name("cpu"))
	if err != nil {
		return nil, fmt.Errorf("create profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, fmt.Errorf("start profile: %w", err)
	}
	if d, err := time.ParseDuration(os.Getenv(profileFor)); err == nil {
		time.AfterFunc(d, pprof.StopCPUProfile)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = cpu.Close()
		heap, err := os.Create(name("heap"))
		if err != nil {
			return
		}
		defer heap.Close()
		_ = pprof.Lookup("heap").WriteTo(heap, 0)
	}, nil
}
