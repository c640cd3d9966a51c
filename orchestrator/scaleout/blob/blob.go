// Package blob is the seam to where the tries of a run are kept that is played on many machines: whole objects under keys, each
// with its digest. orchestrator/scaleout/depot keeps them on a volume of the cluster, orchestrator/scaleout/bucket in an
// S3-compatible bucket.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"k8s.io/utils/clock"
)

// Store keeps objects. Methods are safe for concurrent use, by many processes too.
type Store interface {
	// Put stores data under key, whole or not at all, in place of what was there, and returns when it is durable.
	Put(ctx context.Context, key string, data []byte) error
	// Get returns what is stored under key. The error is fs.ErrNotExist where nothing is, and ErrCorrupt where what is there is not
	// what was put.
	Get(ctx context.Context, key string) ([]byte, error)
	// List returns the keys that begin with prefix, sorted. No such key is no error.
	List(ctx context.Context, prefix string) ([]string, error)
}

var (
	// ErrCorrupt is the error of an object whose bytes are not those of its digest.
	ErrCorrupt = errors.New("the object does not have its digest")
	// ErrRefused is the error of a request that the store will not serve however often it is made: wrong credentials, a bad key.
	ErrRefused = errors.New("the store refuses")
)

// Final reports whether err will be the same the next time. Other errors may pass: the store is starting, or out of reach.
func Final(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrRefused)
}

// MaxSize bounds one object, in bytes. A try has some megabytes.
const MaxSize = 1 << 30

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

// CheckKey refuses a key that is not words of letters, digits, dots, dashes and underscores with slashes between them: every store
// can have all others, a file system too. The error is ErrRefused.
func CheckKey(key string) error {
	if len(key) > 512 || !keyPattern.MatchString(key) {
		return fmt.Errorf("check key %q: %w", key, ErrRefused)
	}
	return nil
}

// Digest is "sha256:" and the hash of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Verify returns ErrCorrupt where data does not have the digest.
func Verify(key string, data []byte, digest string) error {
	if is := Digest(data); is != digest {
		return fmt.Errorf("read %s: %w: it is %s, want %q", key, ErrCorrupt, is, digest)
	}
	return nil
}

// The pauses between tries double from the first to the longest.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
)

// Patiently calls do until it succeeds, fails for good, ctx ends, or patience is over. It returns the last error of do.
func Patiently(ctx context.Context, clk clock.Clock, patience time.Duration, do func(context.Context) error) error {
	until := clk.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := do(ctx)
		if err == nil || Final(err) || ctx.Err() != nil {
			return err
		}
		if clk.Now().Add(pause).After(until) {
			return fmt.Errorf("tried for %s: %w", patience, err)
		}
		timer := clk.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-timer.C():
		}
	}
}
