// Command write writes the manifest file with the seed data of the hotel application into the directory that it is given.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gameday-bench/gameday/workloads/apps/hotel/seed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the manifests directory, got %d arguments", len(args))
	}
	text, err := seed.ConfigMaps()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], seed.File), []byte(text), 0o644)
}
