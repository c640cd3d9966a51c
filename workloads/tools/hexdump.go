package tools

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gameday-bench/gameday/workloads/program"
)

// hexdump is hexdump -C FILE...: offset, sixteen bytes and the same as text, line by line.
func hexdump(_ context.Context, sys *program.Sys) error {
	if len(sys.Args) < 2 || sys.Args[0] != "-C" {
		return &program.ExitError{Code: 1, Err: errors.New("hexdump: want -C FILE")}
	}
	var data []byte
	for _, name := range sys.Args[1:] {
		more, err := program.ReadFile(sys.Files, name)
		if err != nil {
			return fmt.Errorf("hexdump: %w", err)
		}
		data = append(data, more...)
	}
	fmt.Fprintf(sys.Stdout, "%s%08x\n", hex.Dump(data), len(data))
	return nil
}
