package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/gomod"
)

// Source is the directory hack/kindnode of the project.
type Source string

// FindSource returns the one that dir is in, or that is in one of the directories above it.
func FindSource(dir string) (Source, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the directory hack/kindnode: %w", err)
	}
	for ; ; at = filepath.Dir(at) {
		for _, candidate := range []string{at, filepath.Join(at, "hack", "kindnode")} {
			if _, err := os.Stat(filepath.Join(candidate, "modules", "kubernetes", "go.mod")); err == nil {
				return Source(candidate), nil
			}
		}
		if at == filepath.Dir(at) {
			return "", errors.New("find the directory hack/kindnode: neither here nor above; say where it is with -source")
		}
	}
}

// Module is the module of that name in modules.
func (s Source) Module(name string) gomod.Module {
	return gomod.Module(filepath.Join(string(s), "modules", name))
}

// Own is the module of the directory itself.
func (s Source) Own() gomod.Module { return gomod.Module(s) }

// Path is a file of the directory.
func (s Source) Path(name ...string) string {
	return filepath.Join(append([]string{string(s)}, name...)...)
}

// Digest is that of all files below a directory of it, without tests.
func (s Source) Digest(dir string) (string, error) {
	root := s.Path(dir)
	sum := sha256.New()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %d\n", filepath.ToSlash(rel), len(data))
		sum.Write(data)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("digest %s: %w", dir, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
