package stress

import (
	"context"
	"math"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// step is how much memory is taken at a time, in bytes.
	step = 1 << 20
	// fastest is how fast one worker takes memory at most, in bytes per second: an out-of-memory kill is decided by
	// looking, so memory must not be gone from the host before anybody has looked.
	fastest = 256 << 20
	// diskBytes is how much a disk worker writes before it starts again.
	diskBytes = 64 << 20
)

func cpus() int { return runtime.NumCPU() }

// burn computes for load percent of each slice.
func burn(ctx context.Context, load float64, slice time.Duration) {
	runtime.LockOSThread()
	busy := time.Duration(float64(slice) * load / 100)
	x := 2.0
	for ctx.Err() == nil {
		start := time.Now()
		for time.Since(start) < busy {
			for range 2000 {
				x = math.Sqrt(x) + 1
			}
		}
		if rest := slice - time.Since(start); rest > 0 {
			pause(ctx, rest)
		}
	}
	runtime.KeepAlive(x)
}

// hold takes size bytes, evenly over grow and never faster than fastest, touches every page, and keeps them.
func hold(ctx context.Context, size int64, grow time.Duration) {
	if size <= 0 {
		<-ctx.Done()
		return
	}
	// The kernel gives nothing for a mapping until it is touched.
	block, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		<-ctx.Done()
		return
	}
	perStep := max(time.Duration(float64(time.Second)*step/fastest), time.Duration(float64(grow)*step/float64(size)))
	start := time.Now()
	for offset := int64(0); offset < size && ctx.Err() == nil; offset += step {
		for page := offset; page < min(offset+step, size); page += 4096 {
			block[page] = 1
		}
		if ahead := time.Duration(offset/step+1)*perStep - time.Since(start); ahead > time.Millisecond {
			pause(ctx, ahead)
		}
	}
	<-ctx.Done()
}

// writeDisk writes and syncs an unlinked file over and over.
func writeDisk(ctx context.Context) {
	f, err := os.CreateTemp("", "")
	if err != nil {
		<-ctx.Done()
		return
	}
	defer f.Close()
	_ = os.Remove(f.Name()) // the file lives as long as it is open
	buffer := make([]byte, 1<<20)
	for ctx.Err() == nil {
		for offset := int64(0); offset < diskBytes && ctx.Err() == nil; offset += int64(len(buffer)) {
			if _, err := f.WriteAt(buffer, offset); err != nil {
				pause(ctx, time.Second)
			}
		}
		_ = f.Sync() // a stressor that cannot sync goes on writing
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
