package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// buildOf names what is tested: the revision that gameday says it was built from, and a digest of all of its binaries, since the
// revision says nothing of those beside it.
func buildOf(ctx context.Context, gameday string) (string, error) {
	path, err := exec.LookPath(gameday)
	if err != nil {
		return "", fmt.Errorf("find gameday: %w", err)
	}
	out, err := exec.CommandContext(ctx, path, "version", "-o", "json").Output()
	if err != nil {
		return "", fmt.Errorf("ask gameday for its version: %w", err)
	}
	var version struct {
		Commit string `json:"commit"`
		Dirty  bool   `json:"dirty"`
	}
	if err := json.Unmarshal(out, &version); err != nil {
		return "", fmt.Errorf("decode gameday's version: %w", err)
	}
	binaries, err := filepath.Glob(filepath.Join(filepath.Dir(path), "gameday*"))
	if err != nil {
		return "", fmt.Errorf("list binaries: %w", err)
	}
	sum := sha256.New()
	for _, name := range binaries {
		if err := digest(sum, name); err != nil {
			return "", err
		}
	}
	state := ""
	if version.Dirty {
		state = " with changes"
	}
	const shown, shownCommit = 6, 12
	return fmt.Sprintf("%.*s%s (binaries %x)", shownCommit, version.Commit, state, sum.Sum(nil)[:shown]), nil
}

func digest(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open binary: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("read binary: %w", err)
	}
	return nil
}
